"""The glossary: one sentence for each term, and the terms that a text uses."""

import pytest

from dashboard.pages import PAGES
from dashboard.widgets.glossary import TERMS, glossary, terms_in
from dashboard.widgets.help import Help
from dashboard.widgets.keys import Keys


@pytest.mark.parametrize("term", TERMS)
def test_a_term_has_one_sentence(term):
    sentence = TERMS[term]
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert ". " not in sentence


def test_the_list_is_alphabetical_and_the_page_has_all_of_it():
    terms = [term for term, _ in glossary()]
    assert len(terms) > 30
    assert terms == sorted(TERMS, key=str.lower)
    assert Keys().terms == glossary()


def test_a_text_has_the_terms_that_stand_in_it_as_words_once_and_the_longer_of_two():
    text = "Epochs pass; the saturated units of a batched run lose their seeds, and seeds make epochs."
    assert [term for term, _ in terms_in(text)] == ["epoch", "saturated unit", "seed"]
    assert [term for term, _ in terms_in("the vanishing gradient")] == ["vanishing gradient"]
    assert terms_in("") == []


def test_most_terms_are_used_by_the_pages():
    kinds = {kind for page in PAGES.values() for choices in page.instruments for kind in choices}
    texts = [f"{page.question} {page.look_for} {page.trap}" for page in PAGES.values()]
    texts += [f"{kind.title}. {kind.question} {kind.reading}" for kind in kinds]
    used = {term for text in texts for term, _ in terms_in(text)}
    assert len(used) > len(TERMS) / 2, sorted(TERMS.keys() - used)


def test_a_help_comes_with_its_terms():
    told = Help()
    told.tell("Loss", "The loss of one epoch.")
    assert told.terms == [["loss", TERMS["loss"]], ["epoch", TERMS["epoch"]]]
    told.tell("Nothing", "")
    assert told.terms == []
