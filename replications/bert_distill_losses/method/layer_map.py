"""Which layer of the teacher each layer of the student is compared with."""

from __future__ import annotations

from ir_replications.shared.errors import InputError

# The losses on layers that a recipe may name; each is in layer_losses or relation_losses.
TERMS = ("embedding", "hidden", "attention", "cls", "pkd", "cosine", "minilm", "minilmv2")
CONVENTIONS = ("valid", "tinybert")


def uniform_map(teacher_layers: int, student_layers: int) -> tuple[int, ...]:
    """g(1), ..., g(M) with g(m) = m N / M, the map of TinyBERT (Jiao et al., 2020).

    Layers count from 1; layer 0 is the embeddings' output, and g(0) = 0. Raises InputError where
    M does not divide N.
    """
    if student_layers < 1 or teacher_layers < 1 or teacher_layers % student_layers:
        raise InputError(
            f"{teacher_layers} teacher layers and {student_layers} student layers: expected a "
            "number of student layers that divides the teacher's"
        )
    step = teacher_layers // student_layers
    return tuple(m * step for m in range(1, student_layers + 1))


def last_layers(teacher_layers: int, student_layers: int) -> tuple[int, int]:
    """The one pair (M, N) that MiniLM compares: student's last layer, teacher's last layer.

    Raises InputError for less than one layer.
    """
    if student_layers < 1 or teacher_layers < 1:
        raise InputError(
            f"{teacher_layers} teacher layers and {student_layers} student layers: expected at "
            "least one of each"
        )
    return student_layers, teacher_layers


def relation_heads(teacher_width: int, student_width: int, heads: int | None = None) -> int:
    """The number of relation heads of MiniLMv2, which must divide both widths.

    Without `heads`: the greatest that does, up to the paper's 48. Raises InputError for heads
    that do not divide both.
    """
    if heads is None:
        return max(n for n in range(1, 49) if teacher_width % n == 0 and student_width % n == 0)
    if heads < 1 or teacher_width % heads or student_width % heads:
        raise InputError(
            f"{heads} relation heads: expected a number that divides the widths {teacher_width} "
            f"and {student_width}"
        )
    return heads
