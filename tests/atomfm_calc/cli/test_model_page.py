"""The page of a model: complete, self-contained, escaped, without errors in a browser."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from atomfm_calc.cli.model_page import model_page
from atomfm_calc.registry.card import ModelCard, SplitErrors, Validation, load_card
from atomfm_calc.registry.catalog import add_parity, find_model
from atomfm_calc.registry.parity import CurvePoint, HeadParity, Parity, save_parity
from tests.atomfm_calc.cli.test_cli import run
from tests.made.models import make_model_folder

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
VOID = {"meta", "input", "br", "img", "link", "hr"}
PARITY = Parity(
    split="test",
    heads={
        "ions": HeadParity(
            n_structures=3,
            energies=((-1.0, -1.1), (-2.0, -1.9)),
            forces=((0.0, 0.1),),
            forces_mae_by_element={"H": 30.0},
        )
    },
    learning_curves={
        "ions": tuple(CurvePoint(step=n, forces_mae_meV_per_angstrom=100.0 / n) for n in (1, 2))
    },
)


class Reader(HTMLParser):
    """Texts, attributes that load something, and whether tags are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.loads: list[str] = []
        self.tags: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "data")]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    return load_card(make_model_folder(tmp_path / "tiny"))


def test_every_head_of_the_shipped_model_is_on_its_page() -> None:
    card = load_card(find_model("painn-lead"))
    page = model_page(card)
    texts = " ".join(Reader(page).texts)
    for name, info in card.heads.items():
        assert {name, info.theory, info.source, info.licence} <= set(Reader(page).texts), name
    assert card.weights_sha256 in texts
    assert all(" ".join(text.split()) in " ".join(texts.split()) for text in card.measured.values())


def test_the_page_loads_nothing(card: ModelCard) -> None:
    page = model_page(card, parity=PARITY)
    reader = Reader(page)
    assert reader.loads == []
    assert not {"script", "link", "img", "iframe"} & set(reader.tags)
    assert "http" not in page
    assert "@import" not in page
    assert "url(" not in page


def test_texts_of_the_card_are_text(card: ModelCard) -> None:
    evil = '<script>alert("1")</script>'
    head = replace(card.heads["ions"], theory=evil, title=evil, not_for=(evil,))
    changed = replace(card, title=evil, citation=evil, measured={evil: evil}, commands=(evil,))
    changed = replace(changed, heads={**card.heads, "ions": head})
    reader = Reader(model_page(changed))
    assert "script" not in reader.tags
    assert reader.texts.count(evil) >= 6


def test_errors_stand_beside_their_baselines(card: ModelCard) -> None:
    joint, alone = (SplitErrors(energy_mae_meV_per_atom=value) for value in (12.345, 678.9))
    validation = Validation(split="test, made", n_structures=5, joint=joint, alone=alone)
    head = replace(card.heads["ions"], validation=validation)
    texts = Reader(model_page(replace(card, heads={"crystals": card.heads["crystals"],
                                                   "ions": head}))).texts  # fmt: skip
    place = texts.index("12.3")
    assert texts[place + 1] == "679"
    assert texts[place + 2] == "–"
    assert any("ions: test, made" in text for text in texts)


def test_plots_are_there_only_with_their_data(card: ModelCard) -> None:
    assert "<svg" not in model_page(card)
    assert model_page(card, parity=PARITY).count("<svg") == 3  # energy, forces, a curve


def test_the_command_writes_the_page_with_its_precision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_model_folder(tmp_path / "tiny")
    save_parity(PARITY, tmp_path / "parity.json")
    page = tmp_path / "new" / "page.html"
    command = ("models", "show", model, "--parity", tmp_path / "parity.json")
    assert run(*command) == 2
    assert "add --html FILE" in capsys.readouterr().err
    assert run(*command, "--html", page) == 0
    texts = Reader(page.read_text(encoding="utf-8")).texts
    assert "Precision and kernels" in texts
    assert "Learning curves" in texts


def test_a_model_with_labels_and_predictions_has_plots_on_its_page(tmp_path: Path) -> None:
    model, page = make_model_folder(tmp_path / "tiny"), tmp_path / "page.html"
    add_parity(model, PARITY)
    assert run("models", "show", model, "--html", page) == 0
    assert page.read_text(encoding="utf-8").count("<svg") == 3


PROBE = """<script>
const shown = id => getComputedStyle(document.getElementById(id)).display
document.querySelector("label[for=c2]").click()
console.log("fits", document.documentElement.scrollWidth <= innerWidth, shown("t0"), shown("t2"))
</script></body>"""
"""Chooses a head, and tells the browser's log whether the page is as wide as its window."""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_has_nothing_to_complain_about(card: ModelCard, tmp_path: Path) -> None:
    page, picture = tmp_path / "page.html", tmp_path / "page.png"
    text = model_page(card, parity=PARITY)
    page.write_text(text.replace("</body>", PROBE), encoding="utf-8")
    assert CHROMIUM is not None
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=400,2000")
    log = ("--enable-logging=stderr", "--v=0", f"--user-data-dir={tmp_path / 'profile'}")
    ended = subprocess.run(
        [CHROMIUM, *flags, *log, f"--screenshot={picture}", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    told = [line for line in ended.stderr.splitlines() if "CONSOLE" in line]
    assert len(told) == 1, told
    assert "fits true none block" in told[0]
    assert picture.stat().st_size > 10_000
