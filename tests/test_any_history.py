"""Whatever is done with a champion, by whom, and wherever it is cut short: ledger, alias and history agree.

`EXAMPLES=300 STEPS=40 python -m pytest tests/test_any_history.py` plays other and longer histories, each time new ones.
"""

from __future__ import annotations

import os

from chronicle import Change
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from lived import COLUMNS, WEEK, Fate, OneModel, World, one_of, world
from mlflow import MlflowClient

from trimtab.act import champion as champions
from trimtab.act import modelfile
from trimtab.run import approving, rollbacks
from trimtab.run.session import Session
from trimtab.run.verifying import verify

EXAMPLES, STEPS = int(os.environ.get("EXAMPLES", "10")), int(os.environ.get("STEPS", "15"))
PICK = st.integers(0, 11)
PHASES = ["start", "work", "change", "change"]
FATE = st.none() | st.builds(Fate, st.sampled_from(PHASES), st.integers(0, 20), st.booleans())
__all__ = ["world"]    # a fixture


class AnyHistory(OneModel):
    """Runs of one model, people who answer or meddle, and what must hold after each of them."""

    # -- what is done ------------------------------------------------------------------------------------------------

    @initialize()
    def two_versions_have_served_and_a_third_waits_for_approval(self) -> None:
        for _ in range(2):
            assert self.run(lambda session: self.appoint(session, self.register(session))) is None
        self.train_and_ask()

    @rule()
    @precondition(lambda self: len(self.truth.there) < 6)
    def train_and_ask(self) -> None:
        assert self.run(lambda session: self.ask(session, self.register(session))) is None

    @rule(pick=PICK)
    @precondition(lambda self: set(self.truth.there) - {self.truth.alias})
    def ask_again(self, pick: int) -> None:
        version = one_of(sorted(set(self.truth.there) - {self.truth.alias}), pick)
        assert self.run(lambda session: self.ask(session, version)) is None

    @rule(pick=PICK, fate=FATE)
    def promote(self, pick: int, fate: Fate | None) -> None:
        """Any version that does not serve, whether the registry still has it or not."""
        known = [one["version"] for one in self.looking.ledger.versions() if one["version"] != self.truth.alias]
        version = one_of(known, pick)
        self.ended(self.run(lambda session: self.appoint(session, version), fate,
                              lambda: self.may_serve(version)), version)

    @rule(pick=PICK)
    def promote_what_was_compared_with_another_champion(self, pick: int) -> None:
        others = [version for version in (*self.truth.there, None) if version != self.truth.alias]
        expected = others[pick % len(others)]

        def _work(session: Session) -> None:
            champions.change(
                session.ledger, session.registry, kind="promotion", expected=expected, to_version=1, by="trimtab",
                run_id=session.run_id, as_of=session.as_of, why="too late")

        self.ended(self.run(_work, allowed=lambda: False), None)

    @rule(pick=PICK, fate=FATE, stale=st.booleans())
    def approve(self, pick: int, fate: Fate | None, stale: bool) -> None:
        run_id = self.one_request(pick, stale)

        def _work(session: Session) -> None:
            asked = approving.request(session, run_id)
            approving.refuse_stale(session, asked)
            seen = approving.checks(session, asked)
            self.truth.wanted = Change(
                "promotion", asked.champion, asked.challenger, session.run_id, "Ada", "it is needed", answers=run_id)
            approving.answer(session, asked, seen, "approved", by="Ada", why="it is needed")

        refused = self.run(_work, fate, lambda: self.may_be_approved(run_id))
        request = self.truth.requests[run_id]
        self.ended(refused, request.challenger)
        if refused is None and not self.cut_short:
            folder = self.looking.registry.fetch(request.challenger)
            assert modelfile.digest(folder / modelfile.FILE) == request.sha256

    @rule(pick=PICK)
    def approve_what_was_exchanged(self, pick: int) -> None:
        run_id = self.one_request(pick)
        version = self.truth.requests[run_id].challenger
        if version == self.truth.alias:
            return
        file = self.file(version)
        content = file.read_bytes()

        def _work(session: Session) -> None:
            asked = approving.request(session, run_id)
            file.write_bytes(content + b" ")
            approving.answer(session, asked, approving.checks(session, asked), "approved", by="Eve", why="no reason")

        self.ended(self.run(_work, allowed=lambda: False), None)
        file.write_bytes(content)

    @rule(pick=PICK, fate=FATE, stale=st.booleans())
    def reject(self, pick: int, fate: Fate | None, stale: bool) -> None:
        run_id = self.one_request(pick, stale)

        def _work(session: Session) -> None:
            asked = approving.request(session, run_id)
            self.truth.said = (run_id, "Bob", "it can wait")
            approving.answer(session, asked, (), "rejected", by="Bob", why="it can wait")

        serving = self.truth.alias
        refused = self.run(_work, fate, lambda: self.waits(run_id))
        self.ended(refused, serving)
        if refused is None and not self.cut_short:
            assert self.truth.requests[run_id].state == "rejected"

    @rule(fate=FATE, quarantine=st.booleans())
    def roll_back(self, fate: Fate | None, quarantine: bool) -> None:
        self._roll_back(fate, quarantine=quarantine)

    @rule(quarantine=st.booleans())
    def roll_back_as_far_as_it_goes(self, quarantine: bool) -> None:
        left = len(self.truth.done) + 1    # somebody may have moved the alias
        while self._roll_back(None, quarantine=quarantine):
            left -= 1
            assert left, "back, and not to and fro"

    @rule(pick=PICK, fate=FATE, quarantine=st.booleans(), force=st.booleans())
    def roll_back_to(self, pick: int, fate: Fate | None, quarantine: bool, force: bool) -> None:
        self._roll_back(fate, pick % 6 + 1, quarantine=quarantine, force=force)

    def _roll_back(
        self, fate: Fate | None, to: int | None = None, *, quarantine: bool = False, force: bool = False
    ) -> bool:
        """Whether it was rolled back."""
        earlier = {change.after for change in self.truth.done}

        def _work(session: Session) -> None:
            proof = rollbacks.search(session, to, force=force).proof
            self.truth.wanted = Change(
                "rollback", proof.champion, proof.version, session.run_id, "Cy", "it lies", quarantines=quarantine)
            rollbacks.roll_back(session, proof, by="Cy", why="it lies", force=force, quarantine=quarantine)

        def _may() -> bool:
            back_to_it = self.truth.alias not in (None, to) and to in self.truth.there
            return to is None or (back_to_it and (force or to not in self.truth.held))

        refused = self.run(_work, fate, _may)
        if to is not None:
            self.ended(refused, to)
        elif refused is None and not self.cut_short:
            assert self.truth.alias in earlier, "it served before"
        return refused is None and not self.cut_short

    @rule(fate=FATE)
    @precondition(lambda self: not self.truth.in_order)
    def bring_in_order(self, fate: Fate | None) -> None:
        """A run that changes nothing but what its start brings in order."""
        assert self.run(lambda _session: None, fate) is None

    # -- what others do ----------------------------------------------------------------------------------------------

    @rule(pick=PICK)
    def somebody_moves_the_alias(self, pick: int) -> None:
        version = one_of([*self.truth.there, None], pick)
        if version is None:
            self._somebody.delete_registered_model_alias(self.name, "champion")
        else:
            self._somebody.set_registered_model_alias(self.name, "champion", str(version))
        if version != self.truth.alias:
            self.truth.moved(version)

    @rule(pick=PICK)
    @precondition(lambda self: len(self.truth.there) > 1)
    def somebody_deletes_a_version(self, pick: int) -> None:
        version = one_of(sorted(self.truth.there), pick)
        self._somebody.delete_model_version(self.name, str(version))
        self.truth.lost(version)

    @rule()
    def days_pass(self) -> None:
        self.world.days += WEEK / 2

    @property
    def _somebody(self) -> MlflowClient:
        url = f"sqlite:///{self.world.home}/.trimtab/mlflow.db"
        return MlflowClient(tracking_uri=url, registry_uri=url)

    # -- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def the_history_tells_each_change_once_with_who_and_why(self) -> None:
        names = ("kind", "from_version", "to_version", "run_id", "by", "why")
        found = [
            Change(*(row[name] for name in names), quarantines=bool(row["quarantines"]), answers=row["answers"])
            for row in self.looking.ledger.succession.changes() if row["state"] == "done"
        ]
        assert found == self.truth.done
        assert [row.to_version for row in self.looking.ledger.succession.open_changes()] == (
            [self.truth.open.after] if self.truth.open else [])

    @invariant()
    def who_serves_can_serve_and_may(self) -> None:
        serving = self.registry.champion()
        assert serving == self.truth.alias
        if self.truth.in_order:
            assert self.looking.ledger.succession.champion() == serving
        assert set(self.looking.ledger.quarantine.held()) == self.truth.held
        assert serving not in self.truth.held or self.truth.by_hand or self.truth.open
        if serving is not None:
            model = modelfile.load(self.looking.registry.fetch(serving), sha256=self.truth.there[serving])
            assert len(model.predict(self.world.table[COLUMNS].head(20))) == 20

    @invariant()
    def requests_say_what_came_of_them(self) -> None:
        for one in self.looking.ledger.approvals.all():
            asked = self.truth.requests[one.run_id]
            assert (one.state, one.by, one.why) == (asked.state, asked.by, asked.why)
        for change in self.truth.done:
            if change.answers is not None:
                assert self.truth.requests[change.answers].state == "approved"

    @invariant()
    def versions_that_were_promoted_are_credited_to_their_run(self) -> None:
        promoted = {change.after for change in self.truth.done if change.kind == "promotion"}
        events = self.looking.ledger.retrains.retrain_events()
        assert {event["new_version"] for event in events if event["promoted"]} == promoted

    @invariant()
    def the_chain_holds(self) -> None:
        found = [one.told for one in verify(self.params).findings if one.kind != "differs" or self.truth.in_order]
        recorded = [row["version"] for row in self.looking.ledger.versions()]
        assert found == [f"version {n} in {self.name} is missing" for n in recorded if n not in self.truth.there]


def test_any_history_leaves_ledger_alias_and_requests_in_agreement(world: World) -> None:
    chosen = settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, derandomize="EXAMPLES" not in os.environ,
        database=None, suppress_health_check=list(HealthCheck), print_blob=False)
    run_state_machine_as_test(lambda: AnyHistory(world), settings=chosen)
