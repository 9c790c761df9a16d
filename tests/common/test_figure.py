import numpy as np
import pytest
from PIL import Image

from common.figure import NOTE, figure, show_tiles


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


@pytest.mark.parametrize("aspect", [1.0, 1.6])
@pytest.mark.parametrize("count, columns", [(1, 1), (5, 3), (6, 6)])
def test_tiles_lie_in_rows_in_one_plot(tmp_path, count, columns, aspect):
    shades = np.linspace(0, 0.9, count)
    with figure(tmp_path / "a.png", 6, 4) as made:
        axes = made.subplots()
        images = [np.full((20, 30), shade) for shade in shades]
        corners = show_tiles(axes, images, ["one\ntwo"] * count, columns, aspect, cmap="gray", vmin=0, vmax=1)
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("L")) / 255

    def shade_at(x, y):
        column, row = axes.transData.transform((x, y)) * picture.shape[1] / made.bbox.width
        return picture[picture.shape[0] - 1 - int(row), int(column)]

    for place, (shade, (left, top)) in enumerate(zip(shades, corners, strict=True)):
        inside = [shade_at(left + x, top + y) for x, y in ((0, 0), (29, 0), (15, 10), (0, 19), (29, 19))]
        assert inside == pytest.approx([shade] * 5, abs=0.01)
        if place % columns:
            assert shade_at(left - 1, top + 10) == 1, "a white gap"
    assert len(made.axes) == 1 and len(set(corners)) == count
