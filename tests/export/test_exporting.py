from __future__ import annotations

import json

import pytest
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from ftlib import jsonl
from ftlib.ask.asker import Asker
from ftlib.cli import main
from ftlib.errors import UserError
from ftlib.export import exporting
from ftlib.export.exporting import export_run
from ftlib.export.folder import write_beside
from ftlib.export.golden import FILE, golden_prompts
from ftlib.export.merge import merge
from ftlib.export.opened import merged_player
from ftlib.export.parity import hold_to_parity
from ftlib.export.players import has_llama_cpp

SILENT = {"say": lambda text: None, "margin": 0.5}


@pytest.fixture(scope="module")
def shipped(run_dir, tmp_path_factory):
    """A merged export through the command line."""
    out = tmp_path_factory.mktemp("shipped") / "out"
    assert main(["export", str(run_dir), "--to", "merged", "--out", str(out), "--margin", "0.5", "--debug"]) == 0
    return out


def test_a_merged_export_holds_all_that_an_engine_reads(shipped, run_dir):
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} <= {
        file.name for file in shipped.iterdir()
    }
    template = (shipped / "chat_template.jinja").read_text()
    assert json.loads((shipped / "tokenizer_config.json").read_text())["chat_template"] == template
    tokenizer, config = AutoTokenizer.from_pretrained(shipped), GenerationConfig.from_pretrained(shipped)
    assert config.eos_token_id == [tokenizer.eos_token_id] and not config.do_sample
    golden = jsonl.read(run_dir / FILE)[0]
    encoded = tokenizer.apply_chat_template(golden["messages"], add_generation_prompt=True, tokenize=False)
    assert tokenizer(encoded, add_special_tokens=False)["input_ids"] == golden["ids"]
    assert str(AutoModelForCausalLM.from_pretrained(shipped).dtype) == "torch.bfloat16"
    assert not [file for file in shipped.parent.iterdir() if file != shipped], "nothing half written lies beside"
    assert not list(shipped.glob(".*"))


def test_report_and_card_say_what_was_found(shipped):
    report = json.loads((shipped / "export.json").read_text())
    assert report["verdict"] == "SHIP" and report["merged_into"] == "stored" and report["parity"]["reasons"] == []
    names = [check["name"] for check in report["parity"]["checks"]]
    assert {"same_ids", "log_probabilities", "right_answers", "forgetting"} <= set(names)
    assert "| log_probabilities | ok |" in (shipped / "EXPORT.md").read_text()
    front, card = (shipped / "README.md").read_text().removeprefix("---\n").split("---\n", 1)
    assert yaml.safe_load(front)["tags"] == ["ftlib", "merged"]
    assert all(f"## {part}" in card for part in ("Use", "Base", "Data", "Scores", "Limits", "Licences", "Recipe"))
    assert "SHA-256" in card and "/tmp" not in card
    recipe = yaml.safe_load(card.split("```yaml\n")[1].split("```")[0])
    assert recipe["lora"]["r"] == 16


def test_the_golden_prompts_are_written_once(shipped, run_dir):
    before = (run_dir / FILE).read_text()
    assert len(jsonl.read(run_dir / FILE)) in (8, 24) and before.count('"ids"') == len(jsonl.read(run_dir / FILE))


def test_what_fails_leaves_nothing_behind_and_is_kept_only_by_force(run_dir, tmp_path, monkeypatch, capsys):
    whole = exporting.merge
    monkeypatch.setattr(exporting, "merge", lambda recipe, adapter, *args, **more: whole(recipe, None, *args, **more))
    out = tmp_path / "out"
    command = ["export", str(run_dir), "--to", "merged", "--out", str(out), "--margin", "0.5", "--debug"]
    assert main(command) == 3
    said = capsys.readouterr().out
    assert "DON'T: nothing is left behind" in said and "the adapter is not applied" in said
    assert list(tmp_path.iterdir()) == []
    assert main([*command, "--force"]) == 3
    assert json.loads((out / "export.json").read_text())["verdict"] == "DON'T"


def test_other_peoples_files_are_never_replaced(run_dir, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="only an earlier export is replaced"):
        export_run(run_dir, "adapter", tmp_path, **SILENT)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_an_adapter_is_written_with_its_base_and_vllm_gets_its_flags(run_dir, tmp_path):
    done = export_run(run_dir, "vllm", tmp_path / "out", **SILENT)
    assert done.verdict.ship, done.verdict.reasons
    config = json.loads((done.folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(run_dir.parent / "base") and config["revision"] is None
    flags = yaml.safe_load((done.folder / "vllm.yaml").read_text())
    assert flags["max-lora-rank"] == 16 and flags["lora-modules"] == ["colours=."] and flags["host"] == "127.0.0.1"
    assert flags["max-model-len"] == 512
    assert "adapter on the base as published" in done.verdict.engine


def test_ollama_gets_a_modelfile_with_template_system_and_stop(run_dir, tmp_path, monkeypatch):
    """Without llama.cpp at hand it is written by force alone, and says that nothing was measured."""
    monkeypatch.setitem(__import__("sys").modules, "llama_cpp", None)
    with pytest.raises(UserError, match="llama-cpp-python"):
        export_run(run_dir, "ollama", tmp_path / "out", **SILENT)
    assert not (tmp_path / "out").exists()
    done = export_run(run_dir, "ollama", tmp_path / "out", force=True, **SILENT)
    assert done.verdict is None and json.loads((done.folder / "export.json").read_text())["verdict"] == "NOT MEASURED"
    text = (done.folder / "Modelfile").read_text()
    assert text.startswith("FROM ./colours.q8_0.gguf") and (done.folder / "colours.q8_0.gguf").is_file()
    assert "### Instruction:" in text and 'PARAMETER stop "</s>"' in text and "Name the colour." in text
    assert "{{ if eq $i 0 }}<s>" in text, "the tokenizer does not set the begin token by itself"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("target", ["merged", "vllm"])
def test_a_model_that_was_trained_as_a_whole_is_handed_over_as_it_was_evaluated(target, dtype, make_run, tmp_path):
    done = export_run(make_run(dtype, "full"), target, tmp_path / "out", **SILENT)
    assert done.verdict.ship, done.verdict.reasons
    weights = next(check for check in done.verdict.checks if check.name == "weights")
    assert weights.passed and "tensors are those that were trained" in weights.told
    assert str(AutoModelForCausalLM.from_pretrained(done.folder).dtype) == f"torch.{dtype}"
    facts = json.loads((done.folder / "export.json").read_text())
    assert facts["trained"] == "as a whole" and facts["dtype"] == dtype and "merged_into" not in facts
    if target == "vllm":
        flags = yaml.safe_load((done.folder / "vllm.yaml").read_text())
        assert flags["model"] == "." and flags["served-model-name"] == "colours" and flags["dtype"] == dtype
        assert "enable-lora" not in flags and flags["host"] == "127.0.0.1"


@pytest.mark.skipif(not has_llama_cpp(), reason="the extra `gguf` is not installed")
@pytest.mark.parametrize("target", ["gguf", "ollama"])
def test_a_model_that_was_trained_as_a_whole_goes_to_llama_cpp(target, make_run, tmp_path):
    done = export_run(make_run("float32", "full"), target, tmp_path / "out", **SILENT)
    assert done.verdict.ship, done.verdict.reasons
    assert "llama.cpp" in done.verdict.engine and done.verdict.rows == 24
    assert (done.folder / "colours.q8_0.gguf").is_file() and (done.folder / "Modelfile").is_file() == (
        target == "ollama"
    )


def test_where_no_adapter_was_trained_none_is_handed_over(make_run, tmp_path, capsys):
    command = ["export", str(make_run("float32", "full")), "--to", "adapter", "--out", str(tmp_path / "out")]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "there is no adapter, the model itself is handed over" in said
    assert "export --to merged or gguf or ollama or vllm" in said
    assert list(tmp_path.iterdir()) == []


def test_the_base_in_the_place_of_what_was_trained_as_a_whole_is_refused(make_run, tmp_path):
    asker = Asker.of(make_run("float32", "full"), compare=True)
    merge(asker.run.recipe, None, tmp_path, "float32")
    write_beside(asker, tmp_path)
    system = list(asker.systems.values())[-1]
    opened = [lambda: merged_player(asker, tmp_path)] * 2
    verdict = hold_to_parity(asker, system, golden_prompts(asker, system, 8), *opened, margin=0.5)
    failed = {check.name: check.told for check in verdict.checks if not check.passed}
    assert "are not those that were trained" in failed["weights"]
    assert "answers as the base does" in failed["adapter_acts"]
