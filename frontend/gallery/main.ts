// Every view in every state: `?state=NAME` shows one, no query lists them. The dashboard is the real one; what answers
// it is made up.

import { render } from "../src/main";
import { answered } from "./answers";
import { STATES } from "./states";

const name = new URLSearchParams(location.search).get("state");
const state = name === null ? undefined : STATES[name];

if (state) {
  if (state.link) history.replaceState(null, "", `#${state.link}`);
  window.fetch = (input) => answered(state, String(input));
  render();
} else {
  document.body.append(
    ...Object.keys(STATES).map((each) => {
      const link = document.createElement("a");
      link.href = `?state=${each}`;
      link.textContent = each;
      link.style.display = "block";
      return link;
    }),
  );
}
