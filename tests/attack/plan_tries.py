"""Tries to lose a check: out of the collection, out of the settings, or out of sight."""

from __future__ import annotations

from tests.attack.tries import HOLDS, Stage, Try

NARROW = "[pytest]\npython_files = test_whole.py\nmarkers = opsverify(spec): a check\n"
HOOK = "import pytest\n@pytest.hookimpl(tryfirst=True)\n"
LOST = "t.other: pinned in checks/plan.toml and not collected"
ROWS = (
    "{header}@described('t.other')\n@pytest.mark.parametrize('row', ['a', 'b', 'c'])\n"
    "def test_other(check, row):\n    check.measure('x', 0.0, RATE)\n"
)


def hidden(what: str, files: dict[str, str | None], says: str = LOST) -> Try:
    """A try that changes the project so that `t.other` is not collected."""
    return Try("collection", what, Stage(files=files), says=says)


COLLECTION = (
    hidden("importorskip at the top", {"checks/test_other.py": "{header}pytest.importorskip('not_there')\n{other}"}),
    hidden(
        "skip of the module",
        {"checks/test_other.py": "{header}pytest.skip('later', allow_module_level=True)\n"},
        "checks/test_other.py: skips itself as a whole",
    ),
    hidden("unittest.SkipTest at the top", {"checks/test_other.py": "import unittest\nraise unittest.SkipTest('x')\n"}),
    hidden("skip of the module by a mark", {"checks/test_other.py": "{other}\npytestmark = pytest.mark.skip\n"}, "t.other"),
    hidden("__test__ = False", {"checks/test_other.py": "{other}\ntest_other.__test__ = False\n"}),
    hidden("a class with __test__ = False", {"checks/test_other.py": "class TestX:\n    __test__ = False\n"}),
    hidden("collect_ignore", {"checks/conftest.py": "collect_ignore = ['test_other.py']\n"}),
    hidden("collect_ignore_glob", {"checks/conftest.py": "collect_ignore_glob = ['*other*']\n"}),
    hidden("collect_ignore in the root's conftest", {"checks/conftest.py": "collect_ignore = ['../checks/test_other.py']"}),
    hidden(
        "a hook that ignores the file",
        {"checks/conftest.py": HOOK + "def pytest_ignore_collect(collection_path):\n"
         "    return True if collection_path.name == 'test_other.py' else None\n"},
    ),
    hidden(
        "a hook that makes no item",
        {"checks/conftest.py": HOOK + "def pytest_pycollect_makeitem(name):\n"
         "    return [] if name == 'test_other' else None\n"},
    ),
    hidden(
        "a hook that empties the module's report",
        {"checks/conftest.py": "import pytest\n@pytest.hookimpl(wrapper=True)\ndef pytest_make_collect_report(collector):\n"
         "    report = yield\n    if 'other' in collector.nodeid: report.result = []\n    return report\n"},
    ),
    hidden(
        "a hook that drops one row",
        {"checks/test_other.py": ROWS,
         "checks/conftest.py": "import pytest\n@pytest.hookimpl(wrapper=True)\ndef pytest_make_collect_report(collector):\n"
         "    report = yield\n    report.result = [each for each in report.result or () if '[b]' not in each.name]\n"
         "    return report\n"},
        "test_other[b]: not collected although it is defined",
    ),
    hidden("a renamed file", {"checks/test_other.py": None, "checks/other_checks.py": "{other}"}),
    hidden("a file with another ending", {"checks/test_other.py": None, "checks/test_other.py.orig": "{other}"}),
    hidden("a removed file", {"checks/test_other.py": None}),
    hidden("an empty file", {"checks/test_other.py": ""}),
    hidden("a folder called build", {"checks/test_other.py": None, "checks/build/test_other.py": "{other}"}),
    hidden("a folder called dist, seen", {"checks/dist/test_new.py": "{header}"}, "checks/dist/test_new.py: not collected"),
    hidden("a hidden folder", {"checks/test_other.py": None, "checks/.old/test_other.py": "{other}"}),
    hidden(
        "a folder that looks like an environment",
        {"checks/test_other.py": None, "checks/env/pyvenv.cfg": "", "checks/env/conda-meta/history": "",
         "checks/env/test_other.py": "{other}"},
    ),
    hidden("a renamed function", {"checks/test_other.py": "{header}\ndef check_other(check): pass\n"}),
    hidden(
        "a function behind a condition",
        {"checks/test_other.py": "{header}import os\nif os.environ.get('NEVER'):\n    def test_other(check): pass\n"},
    ),
    hidden(
        "another stage",
        {"checks/test_other.py": "{header}@runbook('1-daily/llm', id='t.other', stages=('weekly',), severity='sev2',"
         " ko='x', en='x')\ndef test_other(check):\n    check.measure('x', 0.0, RATE)\n"},
    ),
    hidden(
        "another id",
        {"checks/test_other.py": "{header}@described('t.another')\ndef test_other(check):\n    check.measure('x', 0.0, RATE)\n"},
    ),
    hidden("settings of the project that narrow", {"pyproject.toml": "{pyproject}python_files = ['test_whole.py']\n"}),
    hidden("functions that the project's settings leave out", {"pyproject.toml": "{pyproject}python_functions = ['test_w*']\n"}),
    hidden("settings that pass a folder over", {
        "checks/test_other.py": None, "checks/sub/test_other.py": "{other}",
        "pyproject.toml": "{pyproject}norecursedirs = ['sub']\n"}),
    hidden("no list", {"checks/plan.toml": None}, "checks/plan.toml: missing"),
    hidden("a list that is none", {"checks/plan.toml": "nonsense"}, "checks/plan.toml: not a list"),
    hidden("a list of half entries", {"checks/plan.toml": "['t.whole']\ntest = 'x'\n"}, "checks/plan.toml: not a list"),
    hidden("a link to nowhere", {"checks/test_other.py": None, "checks/test_gone.py": "import not_there_at_all\n"}),
)  # fmt: skip


def setting(what: str, *args: str, says: str = "leave it out", way: str = "cli", **more: dict[str, str]) -> Try:
    """A try to collect by other settings than the project's: refused."""
    return Try("settings", f"{what}, {way}", Stage(args=args, way=way, **more), (4,), says)  # type: ignore[arg-type]


EVIL = {"evil.py": "def pytest_collection_modifyitems(items):\n    items[:] = items[:1]\n"}
INI = {"narrow.ini": NARROW}
SETTINGS = (
    *(
        setting(what, *args, way=way, files=INI)
        for way in ("cli", "pytest")
        for what, args in {
            "-c": ("-c", "narrow.ini"),
            "--config-file": ("--config-file=narrow.ini",),
            "-o": ("-o", "python_files=test_whole.py"),
            "--override-ini": ("--override-ini=python_functions=test_w*",),
            "-o of the plugins' options": ("-o", "addopts=-k whole"),
            "-o of another folder": ("-o", "norecursedirs=checks"),
            "--confcutdir": ("--confcutdir=/",),
            "--noconftest": ("--noconftest",),
            "-p no:python": ("-p", "no:skipping"),
            "--pyargs": ("--pyargs",),
            "--sw": ("--sw",),
        }.items()
        if not (way == "pytest" and what in ("--noconftest", "--sw"))
    ),
    setting("PYTEST_ADDOPTS -c", variables={"PYTEST_ADDOPTS": "-c narrow.ini"}, files=INI, way="pytest"),
    setting("PYTEST_ADDOPTS -o", variables={"PYTEST_ADDOPTS": "-o python_files=test_whole.py"}),
    setting("PYTEST_ADDOPTS -p", variables={"PYTEST_ADDOPTS": "-p evil", "PYTHONPATH": "{root}"}, files=EVIL, way="pytest"),
    setting("PYTEST_PLUGINS", variables={"PYTEST_PLUGINS": "evil", "PYTHONPATH": "{root}"}, files=EVIL, way="pytest"),
    setting("-p evil", "-p", "evil", variables={"PYTHONPATH": "{root}"}, files=EVIL, way="pytest"),
    setting("-p evil", "-p", "evil", variables={"PYTHONPATH": "{root}"}, files=EVIL, way="new-cli", says="evil"),
    setting("--rootdir", "--rootdir=/", says="--rootdir", way="pytest"),
    setting("--rootdir", "--rootdir=/", says="--rootdir"),
    *(
        setting(f"{name} in the way", says="settings of", way="pytest", files={name: text})
        for name, text in {
            "pytest.ini": NARROW,
            ".pytest.ini": NARROW,
            "pytest.toml": "[pytest]\npython_files = ['test_whole.py']\n",
        }.items()
    ),
    *(
        Try("settings", f"{name} in the way is passed over, cli", Stage(files={name: NARROW}), (0,))
        for name in ("pytest.ini", "tox.ini", "setup.cfg")
    ),
    Try("settings", "plugins are not loaded by themselves", Stage(variables={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": ""}), (0,)),
    Try(
        "settings",
        "each worker runs each check",
        Stage(args=("--dist=each", "--tx=2*popen"), body="import os\ncheck.measure('x', 0.5 if os.environ["
              "'PYTEST_XDIST_WORKER'] == 'gw0' else 0.0, RATE)"),
        (1, *HOLDS),
    ),
)  # fmt: skip

SHOWN = tuple(
    Try("shown", f"{option} {how} {way}", Stage(**({"args": tuple(option.split())} if how == "args" else
        {"variables": {"PYTEST_ADDOPTS": option}}), way=way))
    for option, how, way in (
        *((option, "args", "pytest") for option in (
            "--opsverify-plan", "--opsverify-plan --collect-only", "--opsverify-plan --help", "--collect-only -q",
            "--version --version", "--help", "-h", "--fixtures", "--markers", "--fixtures-per-test", "--setup-plan",
            "--setup-only",
        )),
        *((option, "env", "pytest") for option in (
            "--opsverify-plan --collect-only", "--help", "--version --version", "--help --opsverify-plan",
        )),
        *((option, how, "cli") for how in ("args", "env") for option in (
            "--opsverify-plan", "--opsverify-plan --collect-only", "--collect-only", "--help", "--fixtures", "--markers",
        )),
        *((option, "args", "cli") for option in (
            "--version", "-V", "-h", "--setup-plan", "-p no:opsverify.pytest_plugin.plugin --help", "--noconftest --help",
        )),
    )
)  # fmt: skip

TRIES = (*COLLECTION, *SETTINGS, *SHOWN)
