"""What is told while it is written is what is generated, to the character."""

from __future__ import annotations

import pytest
import torch

from ftlib.core.generate import generate, generate_batch
from ftlib.core.stream import Teller
from tests.families import family_tokenizer, save_family

TEXT = "  Größe 日本 😀\n \n  Second line .  "


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_pieces_are_whole_characters_and_together_the_text(family):
    tokenizer, pieces = family_tokenizer(family), []
    teller = Teller(tokenizer, pieces.append)
    teller.put(torch.tensor([[5, 6, 7]]))  # a prompt
    ids = [*tokenizer(TEXT, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    for token in ids:
        teller.put(torch.tensor([token]))
    told = len(pieces)
    teller.end()
    assert "".join(pieces) == TEXT.strip() and len(pieces) == told > 10
    assert all(piece and "\ufffd" not in piece for piece in pieces)


def test_what_stays_half_a_character_is_told_at_the_end():
    tokenizer, pieces = family_tokenizer("llama"), []
    teller = Teller(tokenizer, pieces.append)
    for token in tokenizer("a 😀", add_special_tokens=False)["input_ids"][:-1]:
        teller.put(torch.tensor([token]))
    assert pieces == ["a"]
    teller.end()
    assert "".join(pieces) == "a \ufffd"


@pytest.mark.parametrize("family", ["llama", "t5"])
def test_a_streamed_answer_is_the_generated_one(family, tmp_path):
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    save_family(family, tmp_path)
    model = (AutoModelForSeq2SeqLM if family == "t5" else AutoModelForCausalLM).from_pretrained(tmp_path).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    for text in ("What colour is the kettle?", "Which lamp", "x"):
        ids, pieces = tokenizer(text, add_special_tokens=False)["input_ids"], []
        (whole,) = generate(model, tokenizer, [ids], max_new_tokens=20)
        teller = Teller(tokenizer, pieces.append)
        (told,) = generate_batch(model, tokenizer, [ids], 20, teller)
        teller.end()
        assert "".join(pieces) == told.text == whole.text and told.tokens == whole.tokens
        assert told.log_probability == whole.log_probability
