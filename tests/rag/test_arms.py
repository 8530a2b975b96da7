"""The prompts of each arm, rendered by the renderer that training uses."""

import pytest

from ftlib.core.model import load_tokenizer
from ftlib.data.prompts import Renderer
from ftlib.rag.arms import (
    ARMS,
    build_prompts,
    closed_book_prompts,
    facts_of,
    few_shot_examples,
    learn,
    left_out,
    rag_prompts,
)
from ftlib.rag.documents import load_documents
from ftlib.rag.retrieval import Found
from ftlib.recipe import Recipe, UserError

ROWS = [{"id": "q1", "question": "Which colour is the Tarn 15?", "documents": ["tarn"]}]
TEXTS = {"tarn": "# Tarn 15\n\nGrey.", "heron": "# Heron 20\n\nRed.", "drift": "# Drift 50\n\nBlue."}
FOUND = {"q1": Found(("tarn", "heron", "drift"), 0.25, ("tarn", "heron", "drift"))}


@pytest.fixture(scope="module")
def renderer(tiny_model_dir):
    return Renderer("chatml", load_tokenizer(str(tiny_model_dir)))


def text_of(renderer, prompt):
    return renderer.tokenizer.decode(prompt.ids)


def train_rows():
    rows = [{"id": f"r{i}", "question": f"q{i}", "answer": f"a{i}", "fact": [f"f{i}"]} for i in range(9)]
    rows = [row | {"slice": "ab"[i % 2]} for i, row in enumerate(rows)]
    return [*rows, {"id": "open", "question": "q", "answer": "a", "slice": "c", "context": "an article", "fact": []}]


def test_examples_take_slices_in_turn_and_do_not_depend_on_the_order():
    rows = train_rows()
    examples = few_shot_examples(rows, 4)
    slices = {row["question"]: row["slice"] for row in rows}
    assert [slices[question] for question, _ in examples] == ["a", "b", "a", "b"]
    assert few_shot_examples(rows[::-1], 4) == examples
    assert few_shot_examples(rows, 0) == [] and len(few_shot_examples(rows, 99)) == 9


def test_no_example_shares_a_fact_with_the_test():
    examples = few_shot_examples(train_rows(), 99, avoid={"f1", "f2"})
    assert {answer for _, answer in examples} == {"a0", "a3", "a4", "a5", "a6", "a7", "a8"}


def test_facts_come_as_list_text_or_nothing():
    assert (facts_of({"fact": "a"}), facts_of({"fact": ["a", "b"]}), facts_of({})) == (("a",), ("a", "b"), ())


def test_closed_book_is_the_prompt_of_notebook_03(renderer):
    prompt = closed_book_prompts(ROWS, renderer, 500)[0]
    assert prompt.ids == renderer.prompt_ids(ROWS[0]["question"])
    assert (prompt.hit, prompt.retrieved) == (None, ())


def test_few_shot_shows_whole_turns_and_drops_the_last_that_do_not_fit(renderer):
    examples = [("Colour of A?", "red"), ("Colour of B?", "blue")]
    whole = closed_book_prompts(ROWS, renderer, 500, examples)[0]
    assert whole.shown == 2 and "assistant\nred<|im_end|>" in text_of(renderer, whole)
    assert closed_book_prompts(ROWS, renderer, len(whole.ids) - 1, examples)[0].shown == 1
    assert closed_book_prompts(ROWS, renderer, len(whole.ids) - 1, examples)[0].ids == renderer.prompt_ids(
        ROWS[0]["question"], history=examples[:1]
    )


def test_rag_puts_the_best_article_where_asked_and_drops_the_worst_first(renderer):
    last = rag_prompts(ROWS, renderer, 500, FOUND, TEXTS, "best_last")[0]
    shown = text_of(renderer, last)
    assert shown.index("Drift") < shown.index("Heron") < shown.index("# Tarn") < shown.index("Which colour")
    assert (last.retrieved, last.shown, last.hit, last.search_seconds) == (("tarn", "heron", "drift"), 3, True, 0.25)
    first = text_of(renderer, rag_prompts(ROWS, renderer, 500, FOUND, TEXTS, "best_first")[0])
    assert first.index("# Tarn") < first.index("Heron") < first.index("Drift")
    short = rag_prompts(ROWS, renderer, len(last.ids) - 1, FOUND, TEXTS)[0]
    assert short.shown == 2 and "Drift" not in text_of(renderer, short) and len(short.ids) <= len(last.ids) - 1


def test_a_passage_counts_as_a_hit_of_its_article_and_is_kept_by_its_own_id(renderer):
    found = {"q1": Found(("tarn#2", "heron"), 0.25, ("tarn", "heron"))}
    prompt = rag_prompts(ROWS, renderer, 500, found, {"tarn#2": "# Tarn 15\n\nGrey.", "heron": "Red."})[0]
    assert (prompt.retrieved, prompt.hit) == (("tarn#2", "heron"), True)


def test_what_does_not_fit_is_said_in_words(renderer):
    whole = rag_prompts(ROWS, renderer, 500, FOUND, TEXTS)
    assert left_out("rag", whole, 500) == "" and left_out("base", closed_book_prompts(ROWS, renderer, 500), 500) == ""
    limit = len(whole[0].ids) - 1
    told = left_out("rag", [*whole, *rag_prompts(ROWS, renderer, limit, FOUND, TEXTS)], limit)
    assert told.startswith(f"RAG: 1 of 2 prompts have no room for all passages in {limit} tokens, 0 for none")
    assert "on average 2.5 of 3.0 are shown" in told and "rag.passage_words" in told
    alone = len(renderer.prompt_ids(ROWS[0]["question"]))
    told = left_out("few_shot", closed_book_prompts(ROWS, renderer, alone, [("q", "a")]), alone)
    assert "1 of 1 prompts" in told and "1 for none" in told and "rag.few_shot" in told


def test_an_article_longer_than_the_window_is_shown_in_passages(renderer, tiny_recipe, tmp_path):
    chapters = [f"## Part {n}\n\n" + f"The part {n} is made of steel. " * 20 for n in range(9)]
    text = "# Tarn 15\n\n" + "\n\n".join([*chapters, "## Colour\n\nThe Tarn 15 is of a grey colour."])
    documents = [{"id": "tarn", "title": "Tarn 15", "text": text}]
    shown = {}
    for words in (60, 5000):
        recipe = Recipe.load(tiny_recipe, {"rag.passage_words": words})
        knowledge = learn(tmp_path / str(words), documents, recipe)
        shown[words] = build_prompts("rag", ROWS, renderer, recipe, max_tokens=400, knowledge=knowledge)[0]
    assert (shown[5000].retrieved, shown[5000].shown) == (("tarn",), 0)
    assert shown[60].retrieved[0].startswith("tarn#") and (shown[60].shown, shown[60].hit) == (1, True)
    assert "of a grey colour" in text_of(renderer, shown[60])


def test_a_question_without_an_article_is_asked_closed_book(renderer):
    prompt = rag_prompts(ROWS, renderer, 500, {"q1": Found((), 0.0, ())}, TEXTS)[0]
    assert prompt.ids == renderer.prompt_ids(ROWS[0]["question"]) and prompt.hit is False


def test_a_question_that_cannot_fit_is_a_user_error(renderer):
    with pytest.raises(UserError, match=r"question q1[\s\S]*at most 5 tokens"):
        closed_book_prompts(ROWS, renderer, 5)


def test_every_arm_of_a_recipe(renderer, tiny_recipe, tmp_path):
    recipe = Recipe.load(tiny_recipe, {"rag.top_k": 2})
    knowledge = learn(tmp_path / "index", load_documents(recipe.rag.documents_path), recipe)
    made = {
        arm: build_prompts(
            arm, ROWS, renderer, recipe, max_tokens=400, examples=[("Colour of A?", "red")], knowledge=knowledge
        )[0]
        for arm in ARMS
    }
    assert made["base"].ids == made["finetuned"].ids and made["rag"].ids == made["rag_finetuned"].ids
    assert made["few_shot"].shown == 1 and made["rag"].retrieved == ("tarn-15",)
    again = learn(tmp_path / "index", [], recipe)  # it stands, so it is opened
    assert again.index.search("Tarn")[0][0] == "tarn-15"
    with pytest.raises(ValueError, match="knowledge"):
        build_prompts("rag", ROWS, renderer, recipe, max_tokens=400)
