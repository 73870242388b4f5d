import numpy as np

from insilico.simulation.leaves import BACKGROUND, Leaf, paint


def test_one_leaf_moves_with_the_velocity_it_was_given(screen):
    rows = 11
    constant = np.ones(rows, np.float32)
    leaf = Leaf(
        radius_px=3.0,
        is_box=False,
        x_px=np.linspace(20.0, 30.0, rows).astype(np.float32),
        y_px=np.linspace(10.0, 15.0, rows).astype(np.float32),
        aspect=constant,
        angle=0 * constant,
        level=255 * constant,
        texture_depth=0 * constant,
        texture_x=constant,
        texture_y=constant,
        texture_phase=constant,
    )
    bright = paint([leaf], screen, rows).astype(float) - BACKGROUND
    weight = bright / bright.sum((1, 2), keepdims=True)
    x = (weight * np.arange(64)).sum((1, 2))
    y = (weight * np.arange(36)[:, None]).sum((1, 2))
    np.testing.assert_allclose(x, leaf.x_px, atol=0.05)
    np.testing.assert_allclose(y, leaf.y_px, atol=0.05)
    # Covered in part, a pixel is blended: the area is that of the disc.
    area = bright.sum((1, 2)) / (255 - BACKGROUND)
    np.testing.assert_allclose(area, np.pi * 9, rtol=0.03)


def test_nearer_leaves_hide_farther_ones(screen):
    constant = np.ones(1, np.float32)

    def box(level):
        return Leaf(
            radius_px=5.0,
            is_box=True,
            x_px=20 * constant,
            y_px=15 * constant,
            aspect=constant,
            angle=0 * constant,
            level=level * constant,
            texture_depth=0 * constant,
            texture_x=constant,
            texture_y=constant,
            texture_phase=constant,
        )

    frame = paint([box(200), box(40)], screen, 1)[0]
    assert np.all(frame[11:20, 16:25] == 40)
    assert np.all(frame[:, 27:] == BACKGROUND)
