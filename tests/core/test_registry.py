"""Plugins, good and bad, found the way pip leaves them: a module and a dist-info folder on the path."""

import importlib
import itertools
import pkgutil
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from fieldmark.core import registry as registry_module
from fieldmark.core.registry import BUILTINS, Problem, Registered, Registry, load_registry
from fieldmark.storage.errors import FieldmarkError

GOOD = """
from pydantic import Field
from fieldmark import Backbone, Options, PluginError, hookimpl

class GoodOptions(Options):
    bins: int = Field(default=4, ge=2, le=9, description="Bins")
    kind: str = Field(default="", description="Kind")

class Good(Backbone[GoodOptions]):
    name = "good"
    summary = "A good one"
    variant_option = {variant}
    def load(self, device): self.dim = 1
    def embed(self, images): raise NotImplementedError

@hookimpl
def register_backbones():
    {body}
"""
Install = Callable[..., str]
_numbers = itertools.count()


def good(body: str = "return [Good]", variant: str = "None", more: str = "") -> str:
    return GOOD.format(body=body, variant=variant) + textwrap.dedent(more)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that installs a plugin as pip would and selects it; it answers with its module."""
    monkeypatch.syspath_prepend(str(tmp_path))
    selected: list[str] = []

    def add(distribution: str, source: str, version: str = "1.0", group: str = "fieldmark") -> str:
        module = f"plugin_under_test_{next(_numbers)}"
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[{group}]\nentry = {module}\n")
        selected.append(distribution)
        monkeypatch.setenv("FIELDMARK_LOAD_PLUGINS", ",".join(selected))
        importlib.invalidate_caches()
        return module

    return add


def outsiders(registry: Registry) -> list[Registered]:
    return [plugin for plugin in registry.plugins if plugin.distribution != "fieldmark"]


def their_problems(registry: Registry) -> list[Problem]:
    return [problem for problem in registry.problems if not problem.source.startswith("fieldmark ")]


def only_problem() -> Problem:
    (problem,) = their_problems(load_registry())
    return problem


def test_the_list_of_built_ins_is_what_the_folders_hold() -> None:
    found = set()
    for folder in ("importers", "backbones", "trainers", "exporters"):
        package = importlib.import_module(f"fieldmark.plugins.{folder}")
        for module in pkgutil.iter_modules(package.__path__):
            source = Path(package.__path__[0], f"{module.name}.py").read_text(encoding="utf-8")
            if re.search(r"^def register_\w+s\(", source, re.MULTILINE):
                found.add(f"{package.__name__}.{module.name}")
    assert set(BUILTINS) == found


def test_every_built_in_is_taken_in() -> None:
    registry = load_registry()
    assert registry.problems == []
    assert {(plugin.kind, plugin.name) for plugin in registry.plugins} == {
        ("importer", "class-folders"),
        ("importer", "csv"),
        ("importer", "csv-onehot"),
        ("backbone", "embedded"),
        ("backbone", "timm"),
        ("trainer", "single-label"),
        ("exporter", "json"),
        ("exporter", "csv"),
        ("exporter", "grouped-zip"),
    }
    assert {plugin.distribution for plugin in registry.plugins} == {"fieldmark"}


def test_loading_imports_nothing_heavy() -> None:
    code = (
        "import sys; from fieldmark.core.registry import load_registry; assert load_registry().plugins;"
        "print([m for m in ('torch','torchvision','timm','streamlit','sklearn','scipy','pandas') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_an_installed_plugin_is_found_with_its_distribution_and_version(install: Install) -> None:
    install("acme-good", good(), version="2.1")
    registry = load_registry()
    assert their_problems(registry) == []
    (plugin,) = outsiders(registry)
    assert (plugin.kind, plugin.name, plugin.summary) == ("backbone", "good", "A good one")
    assert (plugin.distribution, plugin.version, plugin.title) == ("acme-good", "2.1", "backbone 'good'")
    assert [option.name for option in plugin.options] == ["bins", "kind"]
    assert registry.backbone("good", ["bins=3"]).options.bins == 3


BAD = {
    "import error": ("import not_there_at_all", "import", "ModuleNotFoundError: No module named 'not_there_at_all'."),
    "exit at import": ("import sys; sys.exit('bye')", "import", "SystemExit: bye."),
    "no exception at import": ("raise BaseException('odd')", "import", "BaseException: odd."),
    "syntax error": ("def f(:", "import", "SyntaxError: "),
    "wrong argument": (
        "from fieldmark import hookimpl\n@hookimpl\ndef register_backbones(app): return []",
        "registration",
        "'app'",
    ),
    "misspelt hook": (
        "from fieldmark import hookimpl as h\nregister_importers = h(lambda: [])\nregister_backbone = h(lambda: [])",
        "registration",
        "There is no hook 'register_backbone'. Did its author mean 'register_backbones'?",
    ),
    "no hook": ("x = 1", "registration", "It has none of the hooks register_importers, register_backbones,"),
    "raises when called": (good("raise ValueError('no\\n luck')"), "call", "failed: ValueError: no luck."),
    "raises half way": (good("yield Good; raise ValueError('late')"), "call", "ValueError: late."),
    "exits half way": (good("import sys; yield Good; sys.exit(3)"), "call", "SystemExit: 3."),
    "one class, no list": (good("return Good"), "call", "it must return a list of classes, not <class"),
    "text": (good("return 'Good'"), "call", "it must return a list of classes, not 'Good'"),
    "an instance": (good("return [Good(GoodOptions())]"), "check", "must return classes, not <"),
    "wrong base": (good("return [int]"), "check", "Class int must be a subclass of fieldmark.Backbone."),
    "abstract": (
        good("return [Half]", more="class Half(Backbone):\n  name = 'half'\n  summary = 's'\n"),
        "check",
        "Class Half: it lacks the methods embed, load.",
    ),
    "bad name": (
        good("return [Shout]", more="class Shout(Good):\n  name = 'My Plugin'\n"),
        "check",
        "Class Shout: its name must be lower-case kebab-case such as 'my-plugin', not 'My Plugin'.",
    ),
    "no summary": (
        good("return [Mute]", more="class Mute(Good):\n  summary = ' '\n"),
        "check",
        "Class Mute: its summary must be one line of text.",
    ),
    "bad option": (
        good("return [Odd]", more="class O(Options):\n  when: dict = Field({}, description='d')\n"
             "class Odd(Good, Backbone[O]):\n  pass\n"),
        "check",
        "Class Odd: Option 'when' has the type dict; allowed are bool,",
    ),
    "bad variant": (good(variant="'colour'"), "check", "its variant_option must name one of its options"),
    "hostile metaclass": (
        good("return [X]", more="class M(type(Backbone)):\n  def __getattribute__(c, n): raise OSError('M')\n"
             "class X(Good, metaclass=M): pass\n"),
        "import",
        "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_plugin_becomes_one_problem_and_the_rest_goes_on(case: str, install: Install) -> None:
    source, stage, words = BAD[case]
    install("acme-bad", source, version="0.3")
    install("zeta-good", good().replace('"good"', '"fine"'))
    registry = load_registry()
    assert [plugin.name for plugin in outsiders(registry)] == ["fine"]
    (problem,) = their_problems(registry)
    assert problem.source == "acme-bad 0.3 (entry)"
    assert problem.stage == stage
    assert words in problem.message
    assert (
        "Traceback" not in problem.message
        and "\n" not in problem.message
        and problem.message.endswith((".", "?"))
    )


def test_one_bad_class_leaves_its_neighbours(install: Install) -> None:
    install("acme", good("return [Bad, Good]", more="class Bad(Good):\n  name = ''\n"))
    registry = load_registry()
    assert [plugin.name for plugin in outsiders(registry)] == ["good"]
    assert len(their_problems(registry)) == 1


def test_a_keyboard_interrupt_passes(install: Install) -> None:
    install("acme", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_registry()


def test_of_two_outsiders_the_first_by_distribution_wins_and_both_are_named(install: Install) -> None:
    install("zeta", good(), version="2.0")
    install("Alpha", good(), version="1.5")
    registry = load_registry()
    assert [plugin.distribution for plugin in outsiders(registry)] == ["Alpha"]
    assert only_problem() == Problem(
        "zeta 2.0 (good)",
        "name",
        "The backbone 'good' of zeta 2.0 is left out, because Alpha 1.5 has one of that name: uninstall one of the"
        " two.",
    )


def test_a_built_in_wins(install: Install) -> None:
    install("acme", good().replace('"good"', '"embedded"'))
    assert load_registry().find("backbone", "embedded").distribution == "fieldmark"
    assert "because fieldmark " in only_problem().message


def test_another_contract_is_listed_and_not_imported(install: Install) -> None:
    module = install("acme", good(), version="9.0", group="fieldmark.v2")
    assert only_problem() == Problem(
        "acme 9.0 (entry)",
        "version",
        "It is written for the plugin contract 'fieldmark.v2', and this Fieldmark has 'fieldmark' (version 1):"
        " install another version of acme or of Fieldmark.",
    )
    assert module not in sys.modules


def test_the_environment_selects(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("acme-one", good())
    install("acme-two", good().replace('"good"', '"two"'))
    monkeypatch.setenv("FIELDMARK_LOAD_PLUGINS", "Acme_Two, missing")
    registry = load_registry()
    assert [plugin.name for plugin in outsiders(registry)] == ["two"]
    assert [(problem.source, problem.stage) for problem in their_problems(registry)] == [
        ("missing", "selection")
    ]
    monkeypatch.setenv("FIELDMARK_LOAD_PLUGINS", "")
    assert outsiders(load_registry()) == []
    monkeypatch.delenv("FIELDMARK_LOAD_PLUGINS")
    assert {"good", "two"} <= {plugin.name for plugin in outsiders(load_registry())}
    monkeypatch.setenv("FIELDMARK_LOAD_PLUGINS", "entry")
    assert [plugin.name for plugin in outsiders(load_registry())] == ["good", "two"]


def test_strict_raises_the_first_problem(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("acme", "import not_there_at_all")
    monkeypatch.setenv("FIELDMARK_STRICT_PLUGINS", "1")
    with pytest.raises(
        FieldmarkError, match=r"^acme 1\.0 \(entry\): It can't be imported: ModuleNotFoundError"
    ):
        load_registry()


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(FieldmarkError) as caught:
        action()
    return str(caught.value)


def test_an_unknown_name_suggests_the_nearest_and_lists_all() -> None:
    registry = load_registry()
    assert refusal(lambda: registry.find("backbone", "embeded")) == (
        "There is no backbone named 'embeded'. Did you mean 'embedded'? Available: embedded, timm."
    )
    assert (
        refusal(lambda: Registry().find("trainer", "x")) == "There is no trainer named 'x'. Available: none."
    )


def test_a_plugin_that_is_gone_says_what_to_install(install: Install) -> None:
    assert refusal(lambda: load_registry().find("backbone", "blur", distribution="acme-blur")) == (
        "The backbone 'blur' is not here: install the distribution 'acme-blur' that it came with, and start"
        " Fieldmark again."
    )
    install("acme-blur", "import not_there_at_all")
    assert refusal(lambda: load_registry().backbone("blur", distribution="acme_blur")) == (
        "The backbone 'blur' of acme-blur 1.0 (entry) is out of order. It can't be imported: ModuleNotFoundError:"
        " No module named 'not_there_at_all'."
    )


def test_makers_give_each_kind_its_options() -> None:
    registry = load_registry()
    assert registry.exporter("csv", {"formulas": "keep"}).options.formulas == "keep"
    assert registry.importer("csv").name == "csv"
    assert registry.trainer("single-label").tasks
    message = refusal(lambda: registry.exporter("csv", ["formula=keep"]))
    assert message.startswith("There is no option 'formula' of exporter 'csv'. Did you mean 'formulas'?")


def test_a_variant_fills_its_option(install: Install) -> None:
    install("acme", good(variant="'kind'"))
    registry = load_registry()
    assert registry.backbone("good:a:b.c", ["bins=3"]).options.kind == "a:b.c"
    assert registry.backbone("good:x", {"bins": 3, "kind": None}).options.kind == "x"
    assert registry.backbone("good", ["bins=3"]).options.kind == ""
    assert refusal(lambda: registry.backbone("good")) == (
        "Backbone 'good' needs a variant: write 'good:' and its kind behind it."
    )
    assert "needs a variant" in refusal(lambda: registry.backbone("good:", ["bins=3"]))
    assert "ask for different things" in refusal(lambda: registry.backbone("good:x", {"kind": "y"}))
    assert "is given twice" in refusal(lambda: registry.backbone("good:x", ["kind=y"]))
    assert "There is no backbone named 'god'. Did you mean 'good'?" in refusal(
        lambda: registry.backbone("god:x")
    )
    assert refusal(lambda: registry.backbone("embedded:x")) == (
        "Backbone 'embedded' has no variants: write 'embedded' instead of 'embedded:x'."
    )
    assert "needs a variant" in refusal(lambda: registry.backbone("timm"))


def test_a_plugin_that_cant_start_is_named(install: Install) -> None:
    install("acme", good(more="class _(Good): pass\nGood.__init__ = lambda self, options: 1 / 0\n"))
    assert refusal(lambda: load_registry().backbone("good")) == (
        "The backbone 'good' of acme 1.0 could not start: ZeroDivisionError: division by zero."
    )


def test_there_is_no_registry_but_the_one_just_built() -> None:
    assert load_registry() is not load_registry()
    assert not [name for name, value in vars(registry_module).items() if isinstance(value, Registry)]
