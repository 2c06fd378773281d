"""Entry point `python -m sandbox`: the stand-in platform, and the demo on it."""

import sys

from opsverify.pytest_plugin.streams import tolerant_output


def _main() -> int:
    if sys.argv[1:2] == ["demo"]:
        from sandbox import demo  # noqa: PLC0415 - each of the two imports much

        return demo.main(sys.argv[2:])
    from sandbox.cli import main  # noqa: PLC0415 - as above

    return main()


with tolerant_output():  # a reader that closes the pipe (`| head -1`) ends nothing
    sys.exit(_main())
