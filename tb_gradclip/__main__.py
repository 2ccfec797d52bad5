"""The command line as `python -m tb_gradclip`, for launchers that take a module: `torchrun -m tb_gradclip run ...`."""

import sys

from tb_gradclip.cli import main

sys.exit(main())
