"""Documents that make promises about the code, held to it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from kernleap.model.errors import Exit

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
)


def test_every_exit_code_is_documented(checkout: Path) -> None:
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", (checkout / "docs/exit-codes.md").read_text(), re.M)
    assert {(int(code), name) for code, name in rows} == {(int(e), e.name) for e in Exit}


def test_every_package_is_on_the_map(checkout: Path) -> None:
    text = (checkout / "docs/architecture.md").read_text()
    packages = {p.parent.name for p in (checkout / "src/kernleap").glob("*/__init__.py")}
    assert packages
    assert {name for name in packages if f"`src/kernleap/{name}/`" not in text} == set()


def test_every_extra_is_documented(checkout: Path) -> None:
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"]) - {"dev", "native"}
    text = "".join(path.read_text() for path in (checkout / "docs").glob("*.md"))
    assert {name for name in extras if f"kernleap[{name}]" not in text} == set()


def test_every_package_is_under_an_import_contract(checkout: Path) -> None:
    tools = tomllib.loads((checkout / "pyproject.toml").read_text())["tool"]
    covered = {
        name
        for contract in tools["importlinter"]["contracts"]
        for name in contract["source_modules"]
    }
    packages = {p.parent.name for p in (checkout / "src/kernleap").glob("*/__init__.py")}
    assert {name for name in packages - {"cli"} if f"kernleap.{name}" not in covered} == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_between_documents_lead_somewhere(checkout: Path, document: str) -> None:
    path = checkout / document
    links = re.findall(r"\]\(([^)#:]+)\)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_readme_leads_to_every_page(checkout: Path) -> None:
    text = (checkout / "README.md").read_text()
    pages = {f"docs/{path.name}" for path in (checkout / "docs").glob("*.md")}
    assert pages
    assert {page for page in pages if f"]({page})" not in text} == set()
