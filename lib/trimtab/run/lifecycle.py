"""Where does a model's life begin, and where does a notebook find the rest of it?

Trained (`retraining`), evaluated (`contests`), appointed (`appointments`), rolled back (`rollbacks`): notebooks 01, 03,
04 and 05 call all of it by this one name; the library itself does not.
"""

from __future__ import annotations

from trimtab.errors import UsageError
from trimtab.run.appointments import appoint, appointment_facts
from trimtab.run.contests import Contest, challenger, evaluate_challenger, evaluation_facts, judge
from trimtab.run.retraining import challenger_facts, train
from trimtab.run.rollbacks import roll_back, rollback_facts, search
from trimtab.run.session import Session

__all__ = [    # a notebook finds a model's whole life here
    "appoint", "appointment_facts", "challenger", "challenger_facts", "evaluate_challenger", "evaluation_facts",
    "first_champion", "judge", "roll_back", "rollback_facts", "search", "train",
]


def first_champion(session: Session) -> Contest:
    """The champion with its own holdout; where there is none yet, a model trained to become the first."""
    serving = session.registry.champion()
    if serving is None:
        return evaluate_challenger(session, session.model(train(session, None).version))
    model = session.model(serving)
    if not model.lineage:
        raise UsageError(f"version {serving} serves but was not trained by Trimtab, so no holdout of it is known")
    return evaluate_challenger(session, model)
