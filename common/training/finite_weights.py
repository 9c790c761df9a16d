"""A training that has diverged ends at once, with what to do, before it is validated, kept or resumed."""

from ignite.engine import Engine, Events
from torch import nn

from ..errors import DivergedError
from .processes import bare_network


class StopIfNotFinite:
    """Ends the training after the epoch in which a weight became NaN or infinite: no later step can mend that.

    Attached to the trainer before every other handler, so that neither the best model nor the state to resume from is
    replaced. One look an epoch costs nothing; a look at every step's loss, as ignite's `TerminateOnNan` takes, would
    make a GPU wait.

    Args:
        network: network in training.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def attach(self, engine: Engine) -> None:
        """Look at the end of every epoch of the trainer `engine`."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Look at every weight and running statistic.

        Raises:
            DivergedError: if one is not finite.
        """
        state = bare_network(self.network).state_dict()
        broken = [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
        if broken:
            raise DivergedError(
                f"epoch {engine.state.epoch}: expected finite weights, found NaN or infinity in {len(broken)} of "
                f"{len(state)} tensors (first: {broken[0]}). Lower learning_rate, or compute in float32 "
                "(--precision float32). What was kept before this epoch is untouched; --resume true goes on from there."
            )
