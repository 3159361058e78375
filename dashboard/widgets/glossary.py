"""The glossary: what the terms of the field mean, in one exact sentence each."""

import re
from collections.abc import Sequence

TERMS = {
    "accuracy": "The share of examples that the network classifies correctly.",
    "activation": "What a unit passes on: its activation function, applied to its pre-activation.",
    "AUC": "The area under the ROC curve: the probability that a random example of class 1 gets a higher score than a "
    "random one of class 0.",
    "backpropagation": "The chain rule, applied from the loss back to the inputs, which gives the gradient of all "
    "parameters in one pass.",
    "batch": "The examples whose mean gradient makes one update; a full batch is all training examples.",
    "bias": "The number that a unit adds to the weighted sum of its inputs.",
    "condition number": "The largest curvature of a surface divided by its smallest: the larger it is, the more steps "
    "gradient descent needs.",
    "cross-entropy": "The mean of −ln p, where p is the probability that the network gives to the right answer.",
    "curvature": "How fast the slope of the loss changes along a direction.",
    "dead unit": "A unit that fires on no training example, so that no gradient reaches its weights.",
    "eigenvalue": "The curvature λ of the loss along one of the Hessian's own directions.",
    "epoch": "One pass over all training examples; epoch 0 is the untrained network.",
    "exploding gradient": "A gradient whose norm grows by a factor at every layer on its way back.",
    "gradient": "The vector of the loss's slopes, one for each parameter; it points uphill.",
    "Hessian": "The matrix of the loss's second derivatives, whose eigenvalues are its curvatures.",
    "initializer": "The rule by which the first weights are drawn.",
    "kink": "A point at which a function has no derivative, such as 0 for ReLU.",
    "learning rate": "The number that the gradient is multiplied with to make a step.",
    "ln 2": "The cross-entropy of a network that gives both classes probability 1/2, about 0.693.",
    "logit": "The number before the sigmoid: the logarithm of the odds p / (1 − p).",
    "loss": "The number that training makes small: the mean error over the examples, plus penalties if there are any.",
    "median": "The value that half of the runs lie below.",
    "middle half": "The range from the value that a quarter of the runs lie below to the one that three quarters do.",
    "momentum": "A step that adds a share of the step before it to the new gradient's.",
    "overfitting": "A training loss that falls while the validation loss rises.",
    "penalty": "A term of the loss that grows with the weights and so keeps them small.",
    "plateau": "A part of training in which the loss hardly changes, although it can still fall.",
    "pre-activation": "The weighted sum of a unit's inputs plus its bias, before the activation function.",
    "ROC curve": "The share of class 1 that is found against the share of class 0 that is mistaken for it, at every "
    "threshold.",
    "saddle": "A point without slope, from which the loss rises in some directions and falls in others.",
    "saturated unit": "A unit whose activation function is nearly flat at its pre-activations, so that hardly any "
    "gradient passes.",
    "seed": "The number from which all random numbers follow: the same seed gives the same run.",
    "sharpness": "The largest eigenvalue of the Hessian.",
    "edge of stability": "The sharpness above which a step of gradient descent overshoots: 2 / learning rate.",
    "skip connection": "A layer's input, added to its output, so that the gradient has a way around the layer.",
    "threshold": "The probability of class 1 from which on the answer is class 1.",
    "vanishing gradient": "A gradient whose norm shrinks by a factor at every layer on its way back.",
    "validation": "Examples that are held out: measured on, never trained on.",
}
"""Each term with its sentence."""

_FOUND = {term: re.compile(rf"(?<!\w){re.escape(term)}(?:s|es)?(?!\w)", re.IGNORECASE) for term in TERMS}


def glossary() -> list[list[str]]:
    """All terms with their sentences, in alphabetical order."""
    return [[term, TERMS[term]] for term in sorted(TERMS, key=str.lower)]


def terms_in(text: str) -> Sequence[Sequence[str]]:
    """The terms that a text uses, in its order, with their sentences; of two that overlap the longer one."""
    spans = [(found.start(), -len(term), found.end(), term) for term in TERMS if (found := _FOUND[term].search(text))]
    taken: list[tuple[int, int, str]] = []
    for start, _, end, term in sorted(spans, key=lambda span: span[1]):
        if all(end <= other_start or start >= other_end for other_start, other_end, _ in taken):
            taken.append((start, end, term))
    return [[term, TERMS[term]] for _, _, term in sorted(taken)]
