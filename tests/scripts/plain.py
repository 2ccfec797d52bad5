"""What a script can see of how it was started, and some ways to end."""

import pickle
import sys
from pathlib import Path


class Local:
    pass


def end(how: str) -> None:
    if how == "status":
        sys.exit(3)
    if how == "message":
        sys.exit("that is all")
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "error":
        try:
            {}["missing"]
        except KeyError as error:
            raise ValueError("of two") from error


print(__name__, __file__, __package__, __spec__ and __spec__.name, sys.argv, sys.path[0], Path.cwd(), sorted(globals()))
print(pickle.loads(pickle.dumps(Local)) is Local, sys.modules["__main__"].__dict__ is globals())
print(sorted({"numpy", "torch", "tensorflow", "keras", "tensorboard", "google.protobuf"} & sys.modules.keys()))
end(sys.argv[1])
