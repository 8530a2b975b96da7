"""A sound export passes; five that are broken on purpose are refused, each with the right reason."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM

from ftlib.export.folder import write_beside
from ftlib.export.merge import merge
from ftlib.export.opened import adapter_player, merged_player
from ftlib.export.parity import RESOLUTION, Sides, compare_golden, distance, hold_to_parity

CONTENT = ["same_ids", "stop_tokens", "head", "adapter_scale"]
GOLDEN = ["adapter_acts", "log_probabilities", "greedy"]
TEST_SET = ["right_answers", "stop_rate", "forgetting"]


def _copy(merged, tmp_path):
    return shutil.copytree(merged.folder, tmp_path / "broken")


def _failed(verdict) -> dict[str, str]:
    return {check.name: check.told for check in verdict.checks if not check.passed}


def test_a_sound_merge_is_shipped(merged):
    verdict = merged.judge(merged.folder)
    assert verdict.ship, verdict.reasons
    assert [check.name for check in verdict.checks] == CONTENT + GOLDEN + TEST_SET
    figures = {check.name: check.figures for check in verdict.checks}
    assert figures["adapter_scale"]["factor"] == pytest.approx(1, abs=0.02)
    told = figures["log_probabilities"]
    assert told["distance"].mean <= told["allowed"] < told["from_base"].mean
    assert verdict.rows == figures["right_answers"]["difference"].n == 24
    assert figures["right_answers"]["run"] > 0.25  # of six colours


def test_a_template_that_was_changed_is_refused(merged, tmp_path):
    folder = _copy(merged, tmp_path)
    file = folder / "chat_template.jinja"
    file.write_text(file.read_text().replace("### Response:", "### Answer:"))
    failed = _failed(merged.judge(folder))
    assert list(failed) == ["same_ids"] and "the template or the tokenizer is another: 8 of 8" in failed["same_ids"]


def test_a_wrong_scale_is_refused_and_named(merged, tmp_path):
    adapter = shutil.copytree(merged.adapter, tmp_path / "adapter")
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"use_rslora": True}))
    merge(merged.asker.run.recipe, adapter, tmp_path / "broken")
    write_beside(merged.asker, tmp_path / "broken")
    failed = _failed(merged.judge(tmp_path / "broken"))
    assert {"adapter_scale", "log_probabilities"} <= failed.keys()
    assert "4.0" in failed["adapter_scale"] and "rsLoRA" in failed["adapter_scale"]  # sqrt(16)


def test_an_untied_head_is_refused(merged, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(merged.folder)
    model.config.tie_word_embeddings = False
    head = torch.nn.Linear(model.config.hidden_size, model.config.vocab_size, bias=False)
    with torch.no_grad():
        head.weight.copy_(model.get_input_embeddings().weight + 0.02)
    model.lm_head = head
    model.save_pretrained(tmp_path / "broken")
    write_beside(merged.asker, tmp_path / "broken")
    failed = _failed(merged.judge(tmp_path / "broken"))
    assert "head is untied" in failed["head"]


def test_a_lost_stop_token_is_refused(merged, tmp_path):
    folder = _copy(merged, tmp_path)
    file = folder / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"eos_token_id": 0}))
    failed = _failed(merged.judge(folder))
    assert "stop token lost: '</s>'" in failed["stop_tokens"]


def test_an_adapter_that_is_not_applied_is_refused(merged):
    verdict = merged.judge(merged.base)
    failed = _failed(verdict)
    assert "the adapter is not applied" in failed["adapter_scale"]
    assert "answers as the base does" in failed["adapter_acts"]
    assert verdict.rows == 0, "the test set is not asked where the golden prompts have failed"


@pytest.mark.parametrize("full", [False, True], ids=["stored", "published"])
def test_an_adapter_passes_through_peft_alone_and_a_wrong_name_fails(merged, tmp_path, full):
    folder = shutil.copytree(merged.adapter, tmp_path / "adapter")
    write_beside(merged.asker, folder)
    verdict = hold_to_parity(
        merged.asker,
        merged.system,
        merged.golden,
        lambda: adapter_player(merged.asker, folder, full=full, without=True),
        lambda: adapter_player(merged.asker, folder, full=full),
        margin=0.5,
    )
    assert verdict.ship, verdict.reasons
    assert next(check for check in verdict.checks if check.name == "wrong_name").passed


def test_few_rows_do_not_prove_that_nothing_is_lost(merged_float32):
    few = merged_float32._replace(golden=merged_float32.golden[:4])
    opened = [lambda path=path: merged_player(few.asker, path) for path in (few.base, few.folder)]
    verdict = hold_to_parity(few.asker, few.system, few.golden, *opened, margin=0.01)
    told = _failed(verdict)["right_answers"]
    assert not verdict.ship and "too few rows" in told and "is what these questions can show" in told


def test_a_distance_is_the_mean_over_tokens():
    measured = distance([[-1.0, -2.0], [-3.0]], [[-1.5, -2.0], [-4.0]])
    assert measured.mean == pytest.approx(1.5 / 3) and measured.n == 2


def test_the_floor_decides_and_has_a_resolution():
    tuned, base = Sides([[-0.1, -0.2]] * 3, [[5, 2]] * 3), Sides([[-4.0]] * 3, [[6, 2]] * 3)

    def passed(shift: float, noise: float) -> dict[str, bool]:
        there = tuned._replace(likely=[[value + shift for value in row] for row in tuned.likely])
        bare = base._replace(likely=[[value + noise for value in row] for row in base.likely])
        checks = compare_golden(tuned, there, base, bare, unadapted=[[-5.0, -5.0]] * 3)
        return {check.name: check.passed for check in checks}

    good = {"adapter_acts": True, "log_probabilities": True, "greedy": True}
    assert passed(0.019, 0.01) == good and passed(RESOLUTION, 0.0) == good
    assert passed(0.021, 0.01) == good | {"log_probabilities": False}
    assert passed(3 * RESOLUTION, 0.0) == good | {"log_probabilities": False}
    assert not passed(0.0, 5.0)["adapter_acts"], "what moves less than the noise is not seen to act"


def test_answers_that_differ_where_the_bases_do_not_are_refused():
    base = Sides([[-4.0]] * 20, [[6, 2]] * 20)
    tuned = Sides([[-0.1]] * 20, [[5, 2]] * 20)
    other = tuned._replace(written=[[7, 2]] * 10 + [[5, 2]] * 10)
    checks = {check.name: check for check in compare_golden(tuned, other, base, base, [[-5.0]] * 20)}
    assert not checks["greedy"].passed and checks["greedy"].figures["share"].mean == 0.5
