// The field that groups runs, and the groups it makes.

import { plural } from "../model/format";
import { colourOf } from "../state/points";
import { groupedRuns, grouping, groups } from "../state/signals";

export function GroupingField() {
  const { error } = groups.value;
  return (
    <section class="search grouping">
      <h3>
        <label for="grouping">Group by (regex)</label>
      </h3>
      <input
        id="grouping"
        type="search"
        placeholder="seed\d+"
        title="Runs whose names are equal without what matches, or in its first capturing group, are drawn as one"
        spellcheck={false}
        value={grouping.value}
        aria-invalid={error !== null}
        aria-describedby="grouping-error"
        data-testid="grouping"
        onInput={(event) => (grouping.value = event.currentTarget.value)}
      />
      <p id="grouping-error" class="hint" role="status">
        {error}
      </p>
      {groupedRuns.value && (
        <ul aria-label="Groups">
          {[...groupedRuns.value].map(([name, runs]) => (
            <li key={name} data-testid="group" data-group={name}>
              <i class="swatch" style={{ background: colourOf(runs[0] ?? { name }) }} />
              <span class="cut">
                <bdi>{name}</bdi>
              </span>
              <span class="count">{plural(runs.length, "run")}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

/** Says in a heading what lines and bands are, where they are those of groups. */
export function GroupLegend() {
  return groupedRuns.value ? <small>mean and min–max of each group</small> : null;
}
