"""The prompts of each system, rendered by the renderer that training uses; what was shown is what counts."""

import pytest

from ftlib.data.prompts import Renderer
from ftlib.errors import UserError
from ftlib.rag.arms import ask_all, left_out
from ftlib.rag.shots import few_shot_examples, learn_examples
from ftlib.recipe import ColumnsRecipe, Recipe
from ftlib.rows import row_of
from ftlib.search.documents import KnowledgeBase, learn, load_documents
from ftlib.search.retrieval import Retrieved
from ftlib.systems import systems

COLUMNS = ColumnsRecipe(slice="kind", fact="about", documents="articles")
ROW = row_of({"id": "q1", "question": "Which colour is the Tarn 15?", "answer": "grey", "meta": {"articles": ["tarn"]}})
TEXTS = {"tarn": "# Tarn 15\n\nGrey.", "crane": "# Crane 9\n\nRed.", "drift": "# Drift 50\n\nBlue."}


@pytest.fixture(scope="module")
def renderer(engine):
    return Renderer("chatml", engine.tokenizer)


@pytest.fixture
def settings(tiny_recipe):
    fields = {"data.columns": {"documents": "articles"}, "rag.top_k": 3}
    return Recipe.load(tiny_recipe, fields)


class Fixed:
    """A search that always finds the same passages."""

    def __init__(self, *ids):
        self.ids, self.asked = ids, []

    def search(self, query, k):
        self.asked.append(query)
        return [(key, 9.5 - at) for at, key in enumerate(self.ids[:k])]


def fixed(*ids, texts=TEXTS):
    ids = ids or tuple(texts)
    return KnowledgeBase(dict(texts), Fixed(*ids), {key: key.split("#")[0] for key in texts})


@pytest.fixture
def ask(renderer, settings, five):
    def ask(name, max_tokens=500, rows=(ROW,), recipe=settings, **options):
        return ask_all(five[name], rows, renderer, recipe, max_tokens=max_tokens, **options)

    return ask


def text_of(renderer, asked):
    return renderer.tokenizer.decode(asked.prompt.ids)


def train_rows():
    rows = [
        {"id": f"r{i}", "question": f"q{i}", "answer": f"a{i}", "meta": {"about": [f"f{i}"], "kind": "ab"[i % 2]}}
        for i in range(9)
    ]
    turns = [{"role": role, "content": "x"} for role in ("user", "assistant", "user")]
    other = {"id": "open", "question": "q", "answer": "a", "context": "an article", "meta": {"kind": "c"}}
    return [row_of(row) for row in (*rows, other, {"id": "talk", "turns": turns, "answer": "a", "meta": {"kind": "d"}})]


def test_examples_take_slices_in_turn_and_do_not_depend_on_the_order():
    rows = train_rows()
    examples = few_shot_examples(rows, 4, COLUMNS)
    assert [row.meta["kind"] for row in examples] == ["a", "b", "a", "b"]
    assert few_shot_examples(rows[::-1], 4, COLUMNS) == examples
    assert few_shot_examples(rows, 0, COLUMNS) == [] and len(few_shot_examples(rows, 99, COLUMNS)) == 9


def test_no_example_shares_a_fact_with_the_test():
    examples = few_shot_examples(train_rows(), 99, COLUMNS, avoid={"f1", "f2"})
    assert {row.answer for row in examples} == {"a0", "a3", "a4", "a5", "a6", "a7", "a8"}


def test_where_every_row_has_a_context_the_examples_have_theirs(renderer, ask):
    rows = [row._replace(context=f"passage {row.id}") for row in train_rows()]
    examples = few_shot_examples(rows, 2, COLUMNS)
    assert len(examples) == 2
    shown = text_of(renderer, ask("few_shot", examples=examples)[0])
    assert all(row.context in shown for row in examples)
    talks = [row for row in train_rows() if row.history]
    assert few_shot_examples(talks, 2, COLUMNS) == talks, "and where every row is a conversation, theirs"


def test_closed_book_is_the_prompt_of_notebook_03(renderer, ask):
    asked = ask("base")[0]
    assert asked.prompt == renderer.prompt(ROW)
    assert (asked.hit, asked.found, asked.retrieved, asked.shown, asked.score) == (None, None, (), (), None)


def test_context_and_history_stand_in_the_prompt_of_every_system(renderer, ask, five):
    turns = [("user", "Tell me of the Tarn 15."), ("assistant", "It is a lamp."), ("user", "Which colour has it?")]
    row = row_of({"id": "q1", "turns": [{"role": r, "content": c} for r, c in turns], "answer": "grey"})
    row = row._replace(context="Sold since spring.")
    knowledge = fixed()
    for name in five:
        shown = text_of(renderer, ask(name, rows=[row], examples=train_rows()[:1], knowledge=knowledge)[0])
        assert all(text in shown for _, text in turns) and "Sold since spring." in shown, name
    assert set(knowledge.index.asked) == {"Tell me of the Tarn 15.\nWhich colour has it?"}, "searched with all of it"


def test_a_recipe_may_search_with_the_last_turn_alone(ask, settings):
    row = row_of({"id": "q", "turns": [{"role": "user", "content": text} for text in ("a", "b")], "answer": "x"})
    knowledge = fixed()
    ask("rag", rows=[row], knowledge=knowledge)
    settings.rag.search_with = "question"
    ask("rag", rows=[row], knowledge=knowledge)
    assert knowledge.index.asked == ["a\nb", "b"]


def test_few_shot_shows_whole_turns_and_drops_the_last_that_do_not_fit(renderer, ask):
    lines = [
        {"id": "a", "question": "Colour of A?", "answer": "red"},
        {"id": "b", "question": "Of B?", "answer": "blue"},
    ]
    examples = [row_of(line) for line in lines]
    whole = ask("few_shot", examples=examples)[0]
    assert whole.shown == ("a", "b") and "assistant\nred<|im_end|>" in text_of(renderer, whole)
    short = ask("few_shot", len(whole.prompt.ids) - 1, examples=examples)[0]
    assert short.shown == ("a",) and short.prompt == renderer.prompt(ROW, examples=examples[:1])


def test_rag_puts_the_best_article_where_asked_and_drops_the_worst_first(renderer, ask, settings):
    last = ask("rag", knowledge=fixed())[0]
    shown = text_of(renderer, last)
    assert shown.index("Drift") < shown.index("Crane") < shown.index("# Tarn") < shown.index("Which colour")
    assert (last.retrieved, last.shown, last.found, last.hit) == (("tarn", "crane", "drift"),) * 2 + (True, True)
    assert last.score == 9.5, "the search's, of the best passage"
    short = ask("rag", len(last.prompt.ids) - 1, knowledge=fixed())[0]
    assert short.shown == ("tarn", "crane") and "Drift" not in text_of(renderer, short)
    assert len(short.prompt.ids) <= len(last.prompt.ids) - 1 and not short.is_cut, "a heading alone is not shown"
    settings.rag.context_order = "best_first"
    first = text_of(renderer, ask("rag", knowledge=fixed())[0])
    assert first.index("# Tarn") < first.index("Crane") < first.index("Drift")


def test_a_passage_counts_as_a_hit_of_its_article_and_is_kept_by_its_own_id(ask):
    texts = {"tarn#2": "# Tarn 15\n\nGrey.", "crane": "Red."}
    asked = ask("rag", knowledge=fixed(texts=texts))[0]
    assert (asked.retrieved, asked.found, asked.hit) == (("tarn#2", "crane"), True, True)


def test_passages_that_are_given_stand_in_the_place_of_those_that_the_search_finds(renderer, ask):
    knowledge = fixed("tarn", "crane")
    given = Retrieved(("drift",), 0.0, ("drift",))
    asked = ask("rag", knowledge=knowledge, found={"q1": given})[0]
    assert (asked.retrieved, asked.shown, asked.found, asked.hit, asked.score) == (
        *[("drift",)] * 2,
        False,
        False,
        None,
    )
    assert "Blue." in text_of(renderer, asked) and knowledge.index.asked == []


def test_a_hit_is_what_was_shown_and_not_what_was_retrieved(renderer, ask):
    texts = TEXTS | {"long": "# Long\n\n" + "The words of it go on. " * 30}
    row = ROW._replace(meta={"articles": ["tarn"]})
    bare = len(renderer.prompt(row).ids)
    asked = ask("rag", bare + 40, rows=[row], knowledge=fixed("long", "tarn", texts=texts))[0]
    assert asked.retrieved == ("long", "tarn") and asked.shown == ("long",) and asked.is_cut
    assert (asked.found, asked.hit) == (True, False), "found, but it does not stand in the prompt"


def test_a_passage_that_does_not_fit_is_cut_at_a_sentence_and_not_dropped(renderer, ask):
    text = "# Tarn 15\n\nIts colour is grey. " + "It is made of steel and glass. " * 40
    texts = {"tarn": text}
    bare = len(renderer.prompt(ROW).ids)
    asked = ask("rag", bare + 60, knowledge=fixed(texts=texts))[0]
    shown = text_of(renderer, asked)
    assert (asked.shown, asked.is_cut, asked.hit) == (("tarn",), True, True) and len(asked.prompt.ids) <= bare + 60
    assert "Its colour is grey. It is made of steel and glass.\n\nWhich colour" in shown
    told = left_out_of(ask, [asked], bare + 60)
    assert "1 of 1 prompts have no room for all passages" in told and "1 hold one that is cut" in told


def left_out_of(ask, asked, limit, name="rag"):
    recipe = {"name": "t", "data": {"path": "unused"}, "model": {"base": "unused"}}
    return left_out(systems(Recipe.model_validate(recipe))[name], asked, limit)


def test_what_does_not_fit_is_said_in_words(renderer, ask):
    whole = ask("rag", knowledge=fixed())
    assert left_out_of(ask, whole, 500) == "" and left_out_of(ask, ask("base"), 500, "base") == ""
    limit = len(whole[0].prompt.ids) - 1
    told = left_out_of(ask, [*whole, *ask("rag", limit, knowledge=fixed())], limit)
    assert told.startswith(f"RAG: 1 of 2 prompts have no room for all passages in {limit} tokens, 0 for none")
    assert "on average 2.5 of 3.0 are shown" in told and "rag.passage_words" in told
    alone = len(renderer.prompt(ROW).ids)
    example = row_of({"id": "e", "question": "q", "answer": "a"})
    told = left_out_of(ask, ask("few_shot", alone, examples=[example]), alone, "few_shot")
    assert "1 of 1 prompts" in told and "1 for none" in told and "rag.few_shot" in told
    assert "1 of 1 questions are asked without any of the examples" in told


def test_an_article_longer_than_the_window_is_shown_in_passages(renderer, ask, tiny_recipe, tmp_path):
    chapters = [f"## Part {n}\n\n" + f"The part {n} is made of steel. " * 20 for n in range(9)]
    text = "# Tarn 15\n\n" + "\n\n".join([*chapters, "## Colour\n\nThe Tarn 15 is of a grey colour."])
    documents = [{"id": "tarn", "title": "Tarn 15", "text": text}]
    shown = {}
    for words in (60, 5000):
        recipe = Recipe.load(tiny_recipe, {"rag.passage_words": words, "data.columns": {"documents": "articles"}})
        knowledge = learn(tmp_path / str(words), documents, recipe)
        shown[words] = ask("rag", 400, recipe=recipe, knowledge=knowledge)[0]
    assert (shown[5000].retrieved, shown[5000].is_cut) == (("tarn",), True)
    assert "of a grey colour" not in text_of(renderer, shown[5000])
    assert shown[60].retrieved[0].startswith("tarn#") and (len(shown[60].shown), shown[60].hit) == (1, True)
    assert "of a grey colour" in text_of(renderer, shown[60])


def test_a_question_without_an_article_is_asked_closed_book_and_counted(renderer, ask):
    asked = ask("rag", knowledge=KnowledgeBase(TEXTS, Fixed(), {}))
    assert asked[0].prompt == renderer.prompt(ROW) and asked[0].hit is False and asked[0].score is None
    assert left_out_of(ask, asked, 500) == "RAG: 1 of 1 questions are asked without any of the passages."


def test_a_question_that_cannot_fit_is_a_user_error(ask):
    for name in ("base", "few_shot", "rag"):
        with pytest.raises(UserError, match=r"question q1[\s\S]*at most 5 tokens"):
            ask(name, 5, knowledge=fixed())


def test_without_a_known_window_everything_is_shown(ask):
    assert ask("rag", None, knowledge=fixed())[0].shown == ("tarn", "crane", "drift")


def test_every_system_of_a_recipe(ask, tiny_recipe, tmp_path):
    recipe = Recipe.load(tiny_recipe, {"rag.top_k": 2})
    knowledge = learn(tmp_path / "index", load_documents(recipe.rag.documents_path), recipe)
    options = {"recipe": recipe, "examples": [row_of({"id": "e", "question": "Colour of A?", "answer": "red"})]}
    made = {
        name: ask(name, 400, knowledge=knowledge, **options)[0]
        for name in ("base", "few_shot", "rag", "finetuned", "rag_ft")
    }
    assert made["base"].prompt == made["finetuned"].prompt and made["rag"].prompt == made["rag_ft"].prompt
    assert made["few_shot"].shown == ("e",) and made["rag"].retrieved == ("tarn-15",)
    again = learn(tmp_path / "index", [], recipe)  # it stands, so it is opened
    assert again.index.search("Tarn")[0][0] == "tarn-15"
    with pytest.raises(ValueError, match="knowledge"):
        ask("rag", 400, **options)


def test_a_systems_instruction_stands_in_every_prompt_of_its(renderer, ask, five, settings):
    told = {name: each._replace(instruction="One word.") for name, each in five.items()}
    example = row_of({"id": "e", "question": "Colour of A?", "answer": "red"})
    for name, system in told.items():
        options = {"max_tokens": 500, "examples": [example], "knowledge": fixed()}
        with_it = ask_all(system, [ROW], renderer, settings, **options)[0]
        without = ask_all(five[name], [ROW], renderer, settings, **options)[0]
        assert text_of(renderer, with_it).count("One word.") == 1, name
        assert with_it.prompt.messages == [{"role": "system", "content": "One word."}, *without.prompt.messages]
    assert told["base"]._replace(instruction="auto").told == "", "nothing is told before it is chosen"


def test_systems_go_by_the_recipes_names(renderer, tiny_recipe):
    named = {"quick": {"label": "the quick one"}, "library": {"prompt": "retrieved"}, "both": {"prompt": "few_shot"}}
    fields = {"systems": named, "evaluate.systems": ["quick"], "review.pair": ["quick", "quick"]}
    recipe = Recipe.load(tiny_recipe, fields)
    for system in systems(recipe).values():
        asked = ask_all(system, [ROW], renderer, recipe, max_tokens=500, knowledge=fixed(), examples=train_rows()[:1])
        assert len(asked[0].shown) == {"quick": 0, "library": 1, "both": 1}[system.name]


TAUGHT = [
    row_of({"id": f"r{i}", "question": question, "answer": answer})
    for i, (question, answer) in enumerate(
        [
            ("Which colour is the Heron 4?", "blue"),
            ("How heavy is the Tarn 15?", "340 g"),
            ("Name the Tarn 15's colour, which is it?", "grey"),
            ("Where is the plant?", "Cork"),
        ]
    )
]


@pytest.fixture
def similar(tmp_path, settings):
    return learn_examples(tmp_path / "similar", TAUGHT, settings)


def test_similar_rows_are_found_by_their_words_and_never_the_row_itself(similar, tmp_path, settings):
    assert [row.id for row in similar.like(ROW, 2)] == ["r2", "r1"]
    assert "r2" not in [row.id for row in similar.like(TAUGHT[2], 2)] and similar.like(ROW, 0) == []
    again = learn_examples(tmp_path / "similar", TAUGHT, settings)
    assert again.like(ROW, 3) == similar.like(ROW, 3), "opened where it stands"


def test_similar_examples_stand_best_last_and_the_least_alike_goes_first(renderer, ask, five, settings, similar):
    alike = five["few_shot"]._replace(examples="similar")
    settings.rag.few_shot = 2

    def asked(room):
        return ask_all(alike, [ROW], renderer, settings, max_tokens=room, similar=similar)[0]

    whole = asked(500)
    assert whole.examples == whole.shown == ("r1", "r2") and whole.search_seconds > 0
    assert whole.prompt == renderer.prompt(ROW, examples=[TAUGHT[1], TAUGHT[2]])
    assert asked(len(whole.prompt.ids) - 1).examples == ("r2",)
    with pytest.raises(ValueError, match="expected some to search"):
        ask_all(alike, [ROW], renderer, settings, max_tokens=500)


def test_examples_go_with_passages_and_give_way_to_them(renderer, five, settings, similar):
    both = five["rag"]._replace(examples="similar")
    settings.rag.few_shot, settings.rag.top_k = 1, 1
    given = {"knowledge": fixed(), "similar": similar}
    (whole,) = ask_all(both, [ROW], renderer, settings, max_tokens=500, **given)
    assert whole.examples == ("r2",) and whole.shown == ("tarn",)
    assert whole.prompt == renderer.prompt(ROW, passages=TEXTS["tarn"], examples=[TAUGHT[2]])
    (tight,) = ask_all(both, [ROW], renderer, settings, max_tokens=len(whole.prompt.ids) - 1, **given)
    assert tight.examples == () and tight.shown == ("tarn",) and not tight.is_cut


def test_complete_is_every_article_whole(ask, settings):
    two = ROW._replace(meta={"articles": ["tarn", "crane"]})
    settings.rag.top_k = 1
    assert ask("rag", knowledge=fixed())[0].complete is True
    one_of_two = ask("rag", rows=[two], knowledge=fixed())[0]
    assert one_of_two.hit is True and one_of_two.complete is False
    settings.rag.top_k = 2
    assert ask("rag", rows=[two], knowledge=fixed())[0].complete is True
    cut = fixed("tarn#1", texts={"tarn#1": "# Tarn 15", "tarn#2": "Grey."})
    assert ask("rag", knowledge=cut)[0].complete is False, "the other half may hold the answer"
    assert ask("rag", rows=[ROW._replace(meta={})], knowledge=fixed())[0].complete is None
    assert ask("base")[0].complete is None


def test_examples_of_a_recipe(tiny_recipe):
    named = {"plain": {"examples": "similar"}, "shots": {"prompt": "few_shot"}}
    named |= {"both": {"prompt": "retrieved", "examples": "fixed"}, "alone": {}}
    rest = {"systems": named, "evaluate.systems": ["alone"], "review.pair": ["alone", "both"]}
    found = systems(Recipe.load(tiny_recipe, rest))
    assert {name: (each.prompt, each.examples) for name, each in found.items()} == {
        "plain": ("few_shot", "similar"),
        "shots": ("few_shot", "fixed"),
        "both": ("retrieved", "fixed"),
        "alone": ("question", ""),
    }
    with pytest.raises(UserError, match="question alone"):
        Recipe.load(tiny_recipe, rest | {"evaluate.systems": ["plain"]})
