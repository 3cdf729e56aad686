"""One job: every state that events in any order can bring about, and single stories."""

import pickle
from collections import defaultdict, deque
from collections.abc import Iterator

import pytest

from policy import job as rules
from policy.job import Step
from policy.job_state import NUDGE_SLACK_SECONDS, JobState, Patience

# All waits shorter than a nudge takes to come, and all as they are by default.
SHORT = Patience(
    reacquire=3, queue=40, start=6, finish=3, report=6, look_up=10, relaunch=1, max_launches=2
)
USUAL = Patience(relaunch=1, max_launches=2)
OURS, FOREIGN, STRANGER = "penstock-7-1", "penstock-8-1", "a-runner-of-others"


class Life:
    """A job's state, the world it lives in, and what may still happen to it."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self.ticks = (1.0, patience.start, patience.queue)
        self.now = 100.0
        self.state = JobState(queued_at=100.0)
        self.lease_made = 0
        self.alive: str = ""  # the runner that truly lives
        self.budget = {"granted": 3, "tick": 6, "event": 4, "stop": 1, "token": 1, "nudge": 2}
        self.served = 0
        self.ended = False
        rules.asked(self.state, self.now)

    def events(self) -> Iterator[tuple[str, object]]:
        """What the world may do now."""
        state, budget = self.state, self.budget
        if budget["granted"]:
            yield "granted", self.lease_made + 1
            if self.lease_made:
                yield "granted", self.lease_made
        if budget["stop"]:
            yield "stop", None
        if budget["event"]:
            if state.runner_name:
                yield "in_progress", state.runner_name
                yield "busy", "8"
                yield "gone", state.runner_name
            yield "in_progress", FOREIGN
            yield "in_progress", STRANGER
            yield "completed", "success"
            yield "completed", "cancelled"
        if budget["nudge"]:
            yield "nudge", None
        if budget["tick"]:
            for seconds in self.ticks:
                yield "tick", seconds

    def happen(self, what: str, detail: object) -> None:
        """The world moves; none of it is of our doing."""
        state = self.state
        if what == "granted":
            self.budget["granted"] -= 1
            self.lease_made = max(self.lease_made, int(detail))
            before = state.lease
            unwanted = rules.granted(state, f"e/{detail:08d}", self.now)
            assert unwanted is None or unwanted != state.lease
            assert state.lease >= before, "a grant never takes a newer lease away"
        elif what == "stop":
            self.budget["stop"] -= 1
            state.stop_asked = True
        elif what == "nudge":
            self.budget["nudge"] -= 1
            rules.nudged(state, self.now)
        elif what == "tick":
            self.budget["tick"] -= 1
            self.now += float(detail)
        else:
            self.budget["event"] -= 1
            if what == "in_progress":
                rules.in_progress(state, str(detail), self.now)
                rules.runner_busy(state, str(detail), "7")
            elif what == "busy":
                rules.runner_busy(state, state.runner_name, str(detail))
            elif what == "gone":
                self.alive = ""
                rules.runner_gone(state, str(detail), self.patience, self.now)
            else:
                rules.completed(state, str(detail), state.on_runner, self.now)
            if state.took_late:
                rules.heard_late(state)

    def answers(self, step: Step) -> tuple[str, ...]:
        """What may come of a step that we take."""
        return {
            rules.TOKEN: ("ready", "deferred") if self.budget["token"] else ("ready",),
            rules.LAUNCH: ("started", "refused", "no token", "none at hand"),
            rules.RETIRE: ("gone", "busy"),
            rules.LOOK_UP: ("completed", "missing", "queued", "in_progress", ""),
        }.get(step.do, ("done",))

    def take(self, step: Step, answer: str) -> None:
        """Carry the step out; the laws of each step are asserted here."""
        state, now = self.state, self.now
        if step.do == rules.ACQUIRE:
            rules.asked(state, now)
        elif step.do == rules.RELEASE:
            assert not self.alive, "a permit outlives its runner"
            rules.released(state, state.lease)
        elif step.do == rules.TOKEN:
            assert state.lease, "no token without a lease"
            if answer == "ready":
                rules.token_ready(state)
            else:
                self.budget["token"] -= 1
                rules.hold_up(state, "throttled", now + 5)
        elif step.do == rules.LAUNCH:
            assert state.lease, "no launch without a lease"
            owes = state.phase == "in_progress" and state.on_runner == FOREIGN
            assert state.phase == "queued" or (owes and not state.launches), "nobody waits for it"
            assert not self.alive, "never two runners"
            seen_to = state.token_ready
            rules.launching(state, f"penstock-7-{state.launches + 1}", now)
            assert state.runner == "starting"
            assert not state.token_ready, "what was seen to serves one launch"
            if answer == "started":
                self.alive = state.runner_name
            elif answer == "refused":
                rules.launch_failed(state, "no capacity", self.patience, now)
            elif answer == "none at hand" and not seen_to:
                rules.token_missing(state)
                assert rules.decide(state, self.patience, now).do == rules.TOKEN
            else:
                rules.launch_undone(state)
                rules.hold_up(state, "throttled", now + 5)
        elif step.do == rules.RETIRE:
            assert state.runner in ("starting", "busy")
            if answer == "gone":
                self.alive = ""
            rules.retired(state, answer, self.patience, now)
        elif step.do == rules.LOOK_UP:
            rules.looked_up(state, answer, "success", now)
        else:
            assert step.do == rules.END
            assert not state.lease, "no end with a lease in hand"
            assert not state.waiting_since, "no end while in line"
            assert not self.alive, "no end while our runner lives"
            assert step.outcome
            self.ended = True

    def key(self) -> bytes:
        """What tells two lives apart: all of it, with times as seen from now."""
        state = vars(self.state).copy()
        for name in ("first_granted_at", "first_launched_at", "runner_seconds", "reasons"):
            del state[name]
        for name, value in state.items():
            if name.endswith(("_at", "_since", "_before")):
                state[name] = max(-50.0, value - self.now) if value else None
        return repr((state, self.alive, self.budget, self.lease_made, self.ended)).encode()

    def wait_out(self, step: Step) -> None:
        """Time passes until the wait's end, by our own timer or the semaphore's nudge."""
        assert step.until is not None
        if not step.backstop:
            self.now = step.until
            return
        assert self.state.watched, "nobody nudges it"
        self.now = max(self.now, self.state.nudge_at)
        if self.now < step.until + NUDGE_SLACK_SECONDS:
            rules.nudged(self.state, self.now)
            after = rules.decide(self.state, self.patience, self.now)
            if self.state.lease:
                assert not after.backstop, "a holder is nudged once"
        else:
            # Only the runner's end after its job's may be waited for longer than configured.
            assert step.why == "its runner ends"
            assert self.patience.finish >= Patience.finish
            rules.nudged(self.state, self.now)


def _walk(patience: Patience, most: int) -> tuple[dict[bytes, set[bytes]], set[bytes], set[bytes]]:
    """The graph of lives: edges backwards, the ended ones, and those whose future is not cut."""
    start = Life(patience)
    seen = {start.key()}
    backwards: dict[bytes, set[bytes]] = defaultdict(set)
    ended: set[bytes] = set()
    explored: set[bytes] = set()
    todo = deque([pickle.dumps(start, -1)])
    while todo and len(explored) < most:
        here = todo.popleft()
        life: Life = pickle.loads(here)
        key = life.key()
        explored.add(key)
        if life.ended:
            ended.add(key)
            continue
        step = rules.decide(life.state, patience, life.now)
        following: list[Life] = []
        if step.do == rules.WAIT:
            assert step.until is None or step.until > life.now, f"a wait that is over: {step}"
            for event in life.events():
                after: Life = pickle.loads(here)
                after.happen(*event)
                following.append(after)
            if step.until is not None:
                after = pickle.loads(here)
                after.wait_out(step)
                following.append(after)
        else:
            for answer in life.answers(step):
                after = pickle.loads(here)
                after.take(step, answer)
                again = rules.decide(after.state, patience, after.now)
                assert after.ended or again != step or after.key() != key, f"{step} repeats"
                following.append(after)
        assert life.state.wasted <= patience.max_launches
        for after in following:
            after_key = after.key()
            backwards[after_key].add(key)
            if after_key not in seen:
                seen.add(after_key)
                todo.append(pickle.dumps(after, -1))
    return backwards, ended, explored


@pytest.mark.parametrize("patience", [SHORT, USUAL], ids=["short", "usual"])
def test_no_order_of_events_breaks_a_job(patience: Patience) -> None:
    """The laws of each step hold in every life within the bound (asserted in `take`)."""
    _, ended, explored = _walk(patience, 8_000)
    print(f"{len(explored)} states")
    assert ended


def _settle(life: Life, dice: list[str]) -> str:
    """Let time pass and the likeliest things happen, until the job ends."""
    for _ in range(60):
        if life.ended:
            return "ended"
        step = rules.decide(life.state, life.patience, life.now)
        if step.do != rules.WAIT:
            life.take(step, "gone" if step.do == rules.RETIRE else life.answers(step)[0])
        elif step.until is not None:
            life.wait_out(step)
        else:  # only our own runner's end can be waited for without a limit
            dice.append(step.why)
            assert life.state.runner == "busy"
            life.alive = ""
            rules.runner_gone(life.state, life.state.runner_name, life.patience, life.now)
    return life.state.phase


@pytest.mark.parametrize("patience", [SHORT, USUAL], ids=["short", "usual"])
def test_every_job_comes_to_an_end(patience: Patience) -> None:
    """From each state, with nothing but time, nudges and the end of its runner, the job ends."""
    start = Life(patience)
    seen = {start.key()}
    todo = deque([pickle.dumps(start, -1)])
    done = 0
    while todo and done < 2500:
        here = todo.popleft()
        done += 1
        assert _settle(pickle.loads(here), []) == "ended"
        life: Life = pickle.loads(here)
        if life.ended:
            continue
        step = rules.decide(life.state, patience, life.now)
        waits = step.do == rules.WAIT
        for event in life.events() if waits else ((answer, None) for answer in life.answers(step)):
            after: Life = pickle.loads(here)
            if waits:
                after.happen(*event)
            else:
                after.take(step, event[0])
            if after.key() not in seen:
                seen.add(after.key())
                todo.append(pickle.dumps(after, -1))


def launched(now: float = 0.0) -> JobState:
    """A job with its permit and its first runner on the way."""
    state = JobState(queued_at=now)
    rules.asked(state, now)
    assert rules.granted(state, "e/1", now) is None
    rules.launching(state, OURS, now)
    return state


def test_the_plain_story() -> None:
    """Granted, launch, in progress, completed, gone, released, ended: and not one timer."""
    patience, state = Patience(), JobState(queued_at=1.0)
    assert rules.decide(state, patience, 1.0).do == rules.ACQUIRE
    rules.asked(state, 1.0)
    assert rules.decide(state, patience, 1.0) == Step(
        rules.WAIT, "it waits for a permit of its repository", 3601.0, backstop=True
    )
    rules.granted(state, "e/1", 1.0)
    assert rules.decide(state, patience, 1.0).do == rules.LAUNCH
    rules.launching(state, OURS, 1.0)
    rules.in_progress(state, OURS, 5.0)
    rules.runner_busy(state, OURS, "7")
    assert rules.decide(state, patience, 5.0).do == rules.WAIT
    rules.completed(state, "success", OURS, 60.0)
    assert rules.decide(state, patience, 60.0) == Step(
        rules.WAIT, "its runner ends", 360.0, backstop=True
    )
    rules.runner_gone(state, OURS, patience, 61.0)
    assert rules.decide(state, patience, 61.0).do == rules.RELEASE
    rules.released(state, state.lease)
    assert rules.decide(state, patience, 61.0).outcome == "completed"
    assert state.runner_seconds == 60.0
    assert state.wasted == 0


def test_a_newer_grant_replaces_ours_and_an_older_one_is_void() -> None:
    """The semaphore knows only its newest lease; a lease nobody wants goes back."""
    state = JobState(queued_at=0.0)
    assert rules.granted(state, "e/2", 0.0) is None
    assert rules.granted(state, "e/2", 0.0) is None, "said twice"
    assert rules.granted(state, "e/1", 0.0) == "e/1", "void: its semaphore must hear"
    assert state.lease == "e/2"
    rules.released(state, "e/1")
    assert state.lease == "e/2"
    assert rules.granted(state, "f/1", 0.0) is None
    assert state.lease == "f/1"
    rules.completed(state, "cancelled", "", 1.0)
    rules.released(state, state.lease)
    assert rules.granted(state, "f/2", 2.0) == "f/2"
    assert rules.granted(state, "f/2", 2.0) == "f/2", "as often as it is said"


def test_a_runner_that_nobody_can_ask_about_is_asked_about_again() -> None:
    """GitHub did not answer the attempt to retire it: it counts neither as busy nor as gone."""
    state, patience = launched(), Patience()
    late = rules.decide(state, patience, 0.0).until
    assert rules.decide(state, patience, late).do == rules.RETIRE
    rules.retired(state, "unknown", patience, late)
    assert state.runner == "starting"
    assert rules.decide(state, patience, late).until == late + 600


def test_a_throttled_job_waits_without_its_permit() -> None:
    """Held up, it gives the permit back, and says why it waits."""
    state, patience = JobState(queued_at=0.0), Patience()
    rules.granted(state, "e/1", 0.0)
    rules.hold_up(state, "no runner token", 50.0)
    assert rules.decide(state, patience, 0.0).do == rules.RELEASE
    rules.released(state, state.lease)
    assert rules.decide(state, patience, 0.0).do == rules.ACQUIRE
    rules.asked(state, 1.0)
    assert rules.decide(state, patience, 1.0).why == "no runner token"


def test_a_runner_nobody_used_is_retired_and_replaced_a_few_times() -> None:
    """Three runners that served nobody, with pauses that double: then the job has failed."""
    state, patience, now = launched(), Patience(), 0.0
    for attempt in (1, 2, 3):
        late = rules.decide(state, patience, now).until
        assert late == now + 600
        assert rules.decide(state, patience, late).do == rules.RETIRE
        rules.retired(state, "gone", patience, late)
        if attempt == 3:
            break
        assert rules.decide(state, patience, late).do == rules.RELEASE, "not kept for the next"
        rules.released(state, state.lease)
        assert rules.decide(state, patience, late).until == late + 5, "its events may be late"
        assert rules.decide(state, patience, late + 5).do == rules.LOOK_UP, "did it run after all?"
        rules.looked_up(state, "queued", "", late + 5)
        now = late + 5 * attempt
        pause = rules.decide(state, patience, late + 5)
        assert pause.until == now or attempt == 1
        assert rules.decide(state, patience, now).do == rules.ACQUIRE
        rules.granted(state, f"z/{attempt}", now)
        assert rules.decide(state, patience, now).do == rules.LAUNCH
        rules.launching(state, f"penstock-7-{attempt + 1}", now)
    rules.released(state, state.lease)
    assert state.failure == "3 runners took no job"
    late += 5
    assert rules.decide(state, patience, late).do == rules.LOOK_UP
    rules.looked_up(state, "queued", "", late)
    assert rules.decide(state, patience, late).outcome == "failed"


def test_a_failed_launch_is_named_in_the_failure() -> None:
    """The last reason is part of what the operator reads."""
    state, patience = launched(), Patience(max_launches=1)
    rules.launch_failed(state, "ECS: no capacity", patience, 1.0)
    assert state.failure == "1 runners took no job: ECS: no capacity"


def test_a_runner_that_served_nobody_is_told_with_the_next_launch() -> None:
    """Once: whoever counts launches learns of it; of one that failed itself it knows already."""
    state, patience = launched(), Patience()
    assert not state.unserved
    rules.runner_gone(state, OURS, patience, 5.0)
    assert state.unserved
    rules.launching(state, "penstock-7-2", 6.0)
    assert not state.unserved
    rules.launch_failed(state, "no capacity", patience, 7.0)
    assert (state.wasted, state.unserved) == (2, False)


@pytest.mark.parametrize("launches", [1, 3])
@pytest.mark.parametrize("status", ["in_progress", "completed"])
def test_a_job_whose_events_were_lost_is_found_to_have_run(status: str, launches: int) -> None:
    """No other runner is launched, and it is not called failed, whichever launch it was."""
    state, patience = launched(), Patience(max_launches=launches)
    rules.runner_gone(state, OURS, patience, 5.0)
    assert bool(state.failure) == (launches == 1)
    assert rules.decide(state, patience, 5.0).do == rules.RELEASE, "the permit goes back first"
    rules.released(state, state.lease)
    assert rules.decide(state, patience, 5.0).until == 10.0
    assert rules.decide(state, patience, 10.0).do == rules.LOOK_UP
    rules.looked_up(state, status, "success", 10.0, OURS)
    assert (state.phase, state.on_runner, state.wasted, state.failure) == (status, OURS, 0, "")
    after = rules.decide(state, patience, 10.0)
    assert (after.do, after.outcome) == (
        (rules.END, "completed") if status == "completed" else (rules.WAIT, "")
    )


def test_a_cancelled_workflow_asks_no_more() -> None:
    """It ends."""
    state, patience = launched(), Patience()
    rules.runner_gone(state, OURS, patience, 5.0)
    rules.released(state, state.lease)
    state.stop_asked = True
    assert rules.decide(state, patience, 5.0).outcome == "stopped"


def test_a_launch_that_did_not_begin_does_not_count() -> None:
    """No token after all: no runner, no launch."""
    state = launched()
    rules.launch_undone(state)
    assert (state.runner, state.launches, state.wasted) == ("none", 0, 0)


def test_a_token_is_seen_to_only_if_a_launch_found_none() -> None:
    """Launch, token, the same launch again: its name and its number are not used up."""
    state, patience = launched(), Patience()
    rules.token_missing(state)
    assert (state.runner, state.launches, state.wasted) == ("none", 0, 0)
    assert rules.decide(state, patience, 1.0).do == rules.TOKEN
    rules.token_ready(state)
    assert rules.decide(state, patience, 1.0).do == rules.LAUNCH
    assert state.token_ready, "this launch waits for its token as long as need be"
    rules.launching(state, OURS, 2.0)
    assert (state.launches, state.token_ready, state.token_missing) == (1, False, False)


def test_what_the_provider_says_of_an_end_is_kept() -> None:
    """It stands in the reasons, and in the failure that the last of them makes."""
    state, patience = launched(), Patience(max_launches=1)
    rules.runner_gone(state, OURS, patience, 1.0, "TaskFailedToStart; no such image")
    assert state.reasons == ["TaskFailedToStart; no such image"]
    assert state.failure == "1 runners took no job: TaskFailedToStart; no such image"


@pytest.mark.parametrize("undo", [rules.token_missing, rules.launch_undone])
def test_a_runner_heard_of_was_launched_whatever_the_answer(undo) -> None:
    """An earlier try of the launch began it, and its end came before the later try's answer."""
    state, patience = launched(), Patience()
    rules.runner_gone(state, OURS, patience, 1.0)
    undo(state)
    assert (state.runner, state.launches, state.wasted) == ("gone", 1, 1)
    assert not state.token_missing


def test_a_busy_runner_is_left_alone() -> None:
    """GitHub says busy: it works for another job, and ours waits for its end."""
    state, patience = launched(), Patience()
    rules.retired(state, "busy", patience, 600.0)
    assert state.runner == "busy"
    assert rules.decide(state, patience, 600.0).why == "its runner is busy with job unknown"
    rules.retired(state, "busy", patience, 700.0)
    assert state.runner == "busy"
    rules.runner_gone(state, "penstock-7-99", patience, 800.0)
    assert state.runner == "busy", "another's end is not ours"


def test_a_job_served_by_anothers_runner_sees_its_own_off() -> None:
    """Our runner idles: it is retired at the job's end, then the permit goes back."""
    state, patience = launched(), Patience()
    rules.in_progress(state, FOREIGN, 5.0)
    assert rules.decide(state, patience, 5.0) == Step(
        rules.WAIT, "its runner starts", 600.0, backstop=True
    )
    rules.completed(state, "success", FOREIGN, 20.0)
    assert rules.decide(state, patience, 20.0).do == rules.RETIRE
    rules.retired(state, "gone", patience, 21.0)
    rules.released(state, state.lease)
    assert rules.decide(state, patience, 21.0).outcome == "completed"


def test_a_job_in_progress_elsewhere_is_looked_up_now_and_then() -> None:
    """Its end may be lost: after an hour GitHub is asked, and its word counts."""
    state, patience = JobState(queued_at=0.0), Patience()
    rules.in_progress(state, STRANGER, 0.0)
    assert rules.decide(state, patience, 0.0) == Step(rules.WAIT, f"it runs on {STRANGER}", 3600.0)
    assert rules.decide(state, patience, 3600.0).do == rules.LOOK_UP
    rules.looked_up(state, "in_progress", "", 3600.0)
    assert rules.decide(state, patience, 3600.0).until == 7200.0
    rules.looked_up(state, "missing", "", 7200.0)
    assert (state.phase, state.conclusion) == ("completed", "unknown")


def test_a_job_on_anothers_runner_launches_the_one_it_owes_once() -> None:
    """The other job stands in no queue meanwhile: its runner works, only not for it."""
    state, patience = JobState(queued_at=0.0), Patience()
    rules.asked(state, 0.5)
    rules.in_progress(state, FOREIGN, 1.0)
    assert rules.decide(state, patience, 1.0).why == "it waits for a permit of its repository"
    assert rules.granted(state, "e/1", 2.0) is None
    assert rules.decide(state, patience, 2.0).do == rules.LAUNCH
    rules.launching(state, OURS, 2.0)
    rules.runner_busy(state, OURS, "8")
    assert rules.decide(state, patience, 3.0).why == "its runner works on job 8"
    rules.runner_gone(state, OURS, patience, 9.0)
    assert rules.decide(state, patience, 9.0).do == rules.RELEASE
    rules.released(state, "e/1")
    assert rules.decide(state, patience, 9.0) == Step(
        rules.WAIT, f"it runs on {FOREIGN}", 9.0 + patience.look_up
    )
    assert rules.granted(state, "e/2", 10.0) == "e/2", "one runner is all it owes"


def test_a_job_that_was_refused_while_draining_owes_no_runner() -> None:
    """The runner of an admitted job serves it; a permit for it would be a new one."""
    state, patience = JobState(queued_at=0.0, admitted=False), Patience()
    rules.in_progress(state, FOREIGN, 1.0)
    assert rules.decide(state, patience, 1.0) == Step(
        rules.WAIT, f"it runs on {FOREIGN}", 1.0 + patience.look_up
    )
    assert rules.granted(state, "e/1", 2.0) == "e/1", "given back"


@pytest.mark.parametrize("now", [3601.0, 24 * 3600.0])
def test_a_debt_of_a_runner_ends_when_its_job_has_to_be_looked_up(now: float) -> None:
    """No event has come for long, or GitHub has dropped the other job: nobody is waiting."""
    state = JobState(queued_at=0.0)
    rules.asked(state, 0.5)
    rules.in_progress(state, FOREIGN, 1.0)
    state.looked_up_at = now - 10 if now > 4000 else 0.0
    assert rules.decide(state, Patience(), now).do == rules.RELEASE


def test_a_job_that_github_queued_again_is_served_again() -> None:
    """Its runner died before it began, and GitHub put the job back."""
    state, patience = launched(), Patience()
    rules.in_progress(state, OURS, 1.0)
    rules.runner_busy(state, OURS, "7")
    rules.runner_gone(state, OURS, patience, 2.0)
    rules.released(state, state.lease)
    due = rules.decide(state, patience, 2.0)
    assert due.why == "its runner is gone; GitHub will report the end"
    assert rules.decide(state, patience, due.until).do == rules.LOOK_UP
    rules.looked_up(state, "queued", "", due.until)
    assert rules.decide(state, patience, due.until).do == rules.ACQUIRE


def test_an_overdue_runner_is_retired_after_its_job() -> None:
    """The job ended five minutes ago and its runner did not."""
    state, patience = launched(), Patience()
    rules.in_progress(state, OURS, 1.0)
    rules.runner_busy(state, OURS, "7")
    assert rules.decide(state, patience, 2.0).why == "its runner works on job 7"
    rules.completed(state, "success", OURS, 10.0)
    assert rules.decide(state, patience, 310.0).do == rules.RETIRE


@pytest.mark.parametrize(
    ("stop", "conclusion", "outcome"),
    [(True, "", "stopped"), (False, "cancelled", "cancelled"), (False, "success", "completed")],
)
def test_a_job_that_ends_in_the_queue_leaves_it(stop: bool, conclusion: str, outcome: str) -> None:
    """Nothing is launched for it, and it keeps no place."""
    state, patience = JobState(queued_at=0.0), Patience()
    rules.asked(state, 1.0)
    state.stop_asked = stop
    if conclusion:
        rules.completed(state, conclusion, "", 1.0)
    assert rules.decide(state, patience, 1.0).do == rules.RELEASE
    rules.released(state, state.lease)
    assert rules.decide(state, patience, 1.0) == Step(rules.END, outcome, outcome=outcome)


def test_a_job_queued_for_a_day_expires() -> None:
    """GitHub has dropped it."""
    state = JobState(queued_at=0.0)
    assert rules.decide(state, Patience(), 24 * 3600.0).outcome == "expired"


def test_the_first_word_on_the_end_counts() -> None:
    """A late or doubled event changes nothing."""
    state = JobState(queued_at=0.0)
    rules.completed(state, "success", OURS, 1.0)
    rules.completed(state, "failure", FOREIGN, 2.0)
    rules.in_progress(state, FOREIGN, 3.0)
    rules.looked_up(state, "completed", "failure", 4.0)
    assert (state.phase, state.conclusion, state.on_runner) == ("completed", "success", OURS)
    assert state.job_ended_at == 1.0
