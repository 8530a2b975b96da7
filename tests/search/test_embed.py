"""Sentence vectors from a real, randomly initialised encoder made on the spot."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from ftlib.errors import UserError
from ftlib.recipe import RagRecipe
from ftlib.search.index import Index
from ftlib.search.lance import Embedder

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "heron", "weighs", "blue", "volt", "lamp"]


def save_encoder(folder):
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=16, **special)
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    BertModel(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return save_encoder(tmp_path_factory.mktemp("encoder"))


def sentence_model(encoder, folder, pooling, prompts=None):
    """A folder as sentence-transformers writes it, with the pooling and the prompts its author chose."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    part = Transformer(encoder)
    SentenceTransformer(modules=[part, Pooling(16, pooling_mode=pooling)], prompts=prompts).save(str(folder))
    return str(folder)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_vectors_have_norm_one_follow_the_models_own_pooling_and_do_not_depend_on_the_batch(encoder, pooling, tmp_path):
    embed = Embedder(sentence_model(encoder, tmp_path / "model", pooling))
    texts = ["heron", "heron weighs blue volt lamp", "volt"] * 20
    together = embed(texts, False)
    assert together.shape == (60, 16) and together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for i, text in enumerate(texts[:3]):
        np.testing.assert_allclose(embed([text], False)[0], together[i], atol=1e-5)
        hidden = BertModel.from_pretrained(encoder)(torch.tensor([[2, *map(WORDS.index, text.split()), 3]]))[0][0]
        pooled = hidden.mean(0) if pooling == "mean" else hidden[0]
        np.testing.assert_allclose(together[i], (pooled / pooled.norm()).detach().numpy(), atol=1e-5)


def test_the_models_own_prompts_count_where_the_recipe_gives_none(encoder, tmp_path):
    name = sentence_model(encoder, tmp_path / "model", "mean", {"query": "blue ", "document": "lamp "})
    plain, own, given = Embedder(encoder), Embedder(name), Embedder(name, query_prefix="volt ")
    np.testing.assert_allclose(own(["heron"], True), plain(["blue heron"], True), atol=1e-5)
    np.testing.assert_allclose(own(["heron"], False), plain(["lamp heron"], True), atol=1e-5)
    np.testing.assert_allclose(given(["heron"], True), plain(["volt heron"], True), atol=1e-5)


def test_weights_that_are_a_pickle_are_refused(encoder, tmp_path):
    folder = tmp_path / "pickled"
    save_encoder(folder)
    torch.save(BertModel.from_pretrained(folder).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match="safetensors"):
        Embedder(str(folder))


def test_prefixes_mark_queries_and_long_texts_are_cut(encoder):
    embed = Embedder(encoder, query_prefix="blue ")
    np.testing.assert_allclose(embed(["lamp"], True), embed(["blue lamp"], False), atol=1e-6)
    assert embed(["heron " * 400], False).shape == (1, 16)
    assert embed([], False).shape == (0, 16)


def test_an_index_searches_with_it(encoder, tmp_path):
    embed = Embedder(encoder)
    documents = [{"id": word, "text": word} for word in WORDS[4:]]
    index = Index.build(tmp_path / "kb", documents, mode="vector", embed=embed, embed_name=embed.name)
    for word in WORDS[4:]:
        key, score = index.search(word, 1)[0]
        assert key == word and score == pytest.approx(1, abs=1e-4)


class Named:
    def __init__(self, **fields):
        self.rag = RagRecipe(**fields)


def test_the_recipe_decides(encoder):
    assert Embedder.of(Named()) is None
    with pytest.raises(UserError, match="embedding_model"):
        Embedder.of(Named(mode="vector"))
    with pytest.raises(UserError, match="no-such-folder"):
        Embedder.of(Named(mode="hybrid", embedding_model="./no-such-folder"))
    assert Embedder.of(Named(mode="hybrid", embedding_model=encoder)).name == encoder
