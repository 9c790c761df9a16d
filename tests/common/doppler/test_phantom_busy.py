from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from common.doppler.phantoms import overlays
from common.doppler.phantoms.cart import draw_busy_screen, draw_cart_screen
from common.doppler.phantoms.flow import draw_beats
from common.doppler.phantoms.screen import TraceLayout
from common.doppler.phantoms.spectrum import draw_busy_look, draw_look

LAYOUT = TraceLayout(20, 10, 600, 200, 150.0, 1.0, 0.006, True)


def source(seed):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(8))
def test_every_e_and_a_is_a_top_of_the_envelope(seed):
    beats = draw_beats(source(seed), 4.0, source([seed, 1]))
    for wave in beats.waves:
        around = wave.time_s + np.linspace(-0.01, 0.01, 41)
        if wave.name != "L":
            assert beats.inflow_cm_s(around).max() == pytest.approx(wave.velocity_cm_s)


def test_the_time_from_a_to_the_next_e_differs_more_than_in_the_cart_style():
    def spread(busy):
        gaps = []
        for seed in range(60):
            beats = draw_beats(source(seed), 4.0, source([seed, 1]) if busy else None)
            named = [wave for wave in beats.waves if wave.name != "L"]
            gaps += [b.time_s - a.time_s for a, b in pairwise(named) if a.name + b.name == "AE"]
        return np.std(gaps)

    assert spread(busy=True) > 1.3 * spread(busy=False)


@pytest.mark.parametrize("overlay", [overlays._draw_box, overlays._draw_gap])
def test_what_is_opaque_covers_no_peak(overlay):
    drawn = 0
    for seed in range(40):
        beats = draw_beats(source(seed), 3.6)
        picture = Image.new("RGB", (640, 220), (77, 77, 77))
        overlay(source([seed, 2]), ImageDraw.Draw(picture), LAYOUT, beats, ImageFont.load_default(12))
        pixels = np.asarray(picture)
        drawn += not (pixels == 77).all()
        for _, x, y in overlays._peaks(LAYOUT, beats):
            if 0 <= y < 220:
                assert (pixels[round(y), round(x)] == 77).all()
    assert drawn > 5


def test_all_overlays_are_drawn_on_some_screens(monkeypatch):
    names = [name for name in vars(overlays) if name.startswith("_draw_")]
    called = []
    for name in names:
        monkeypatch.setattr(overlays, name, lambda *_, name=name: called.append(name))
    for seed in range(60):
        overlays.draw_overlays(source(seed), None, LAYOUT, None, None)
    assert set(called) == set(names) and len(names) == 6


def test_looks_have_stronger_ghosts_jets_and_interference_by_chance():
    looks = [draw_busy_look(source(seed), draw_look(source(seed))) for seed in range(200)]
    plain = [draw_look(source(seed)) for seed in range(200)]
    assert max(look.ghost for look in looks) > 3 * max(look.ghost for look in plain)
    assert 0.2 < np.mean([look.regurgitation > 0 for look in looks]) < 0.4
    assert 0.1 < np.mean([look.interference > 0 for look in looks]) < 0.3
    assert not any(look.regurgitation or look.interference for look in plain)


def test_a_busy_screen_is_a_cart_screen_with_more_on_it():
    busy, cart = draw_busy_screen(source(4)), draw_cart_screen(source(4))
    assert busy.pixels.shape == cart.pixels.shape and busy.layout.top == cart.layout.top
    assert not np.array_equal(busy.pixels, cart.pixels)
    assert np.array_equal(busy.pixels, draw_busy_screen(source(4)).pixels)
