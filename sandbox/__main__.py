"""Entry point `python -m sandbox`: the stand-in platform, and the demo on it."""

import sys

if sys.argv[1:2] == ["demo"]:
    from sandbox import demo

    sys.exit(demo.main(sys.argv[2:]))
from sandbox.cli import main

sys.exit(main())
