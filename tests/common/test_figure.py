import numpy as np
import pytest
from PIL import Image

from common.figure import NOTE, figure


def test_a_figure_is_saved_with_its_title_and_what_it_is_not_for(tmp_path):
    with figure(tmp_path / "deep" / "a.png", 4, 3, "a title") as made:
        made.add_subplot().plot([0, 1])
    assert made.get_suptitle() == "a title" and made.get_supxlabel() == NOTE
    with Image.open(tmp_path / "deep" / "a.png") as image:
        assert image.size == (440, 330)


def test_nothing_is_saved_where_drawing_fails(tmp_path):
    with pytest.raises(ValueError, match="no such colour"), figure(tmp_path / "a.png", 4, 3):
        raise ValueError("no such colour")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["$x^2$", "5$ and 6$", "p\udce9", "$\\frac{1}", "a_b^c"])
def test_a_name_is_shown_as_it_is(tmp_path, name):
    with figure(tmp_path / "a.png", 4, 3, name) as made:
        made.add_subplot().set_title("$\\broken")
    assert np.asarray(Image.open(tmp_path / "a.png")).std() > 0


def test_a_size_that_a_claim_in_a_file_asks_for_is_bounded(tmp_path):
    with figure(tmp_path / "a.png", 1e7, 0.5):
        pass
    with Image.open(tmp_path / "a.png") as image:
        assert image.size[0] == 11_000


@pytest.mark.parametrize(
    "words", ["DOUBTFUL: unlike the training data", "farther from it than 99.9 % of similar cases", "x" * 90]
)
def test_a_title_wider_than_the_figure_is_whole(tmp_path, words):
    title = " ".join([words] * 3)
    with figure(tmp_path / "a.png", 4, 3, f"short\n{title}") as made:
        made.add_subplot().set_axis_off()
    ink = np.asarray(Image.open(tmp_path / "a.png").convert("L")) < 128
    assert ink.any() and not ink[:, :3].any() and not ink[:, -3:].any() and not ink[0].any()
    shown = made.get_suptitle()
    assert shown.startswith("short\n") and "".join(shown.split()) == "short" + "".join(title.split())
