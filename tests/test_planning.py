"""Plans: steps with objects and places, held against the boxes like any generated dialogue."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer
from generating import number_of, scene, scenes
from typer.testing import CliRunner

from rs_gpt4v.cli import app
from rs_gpt4v.conversation import Message
from rs_gpt4v.object_classes import DIOR
from rs_gpt4v_generation import products
from rs_gpt4v_generation.asking import Generator
from rs_gpt4v_generation.candidates import read_queue
from rs_gpt4v_generation.checks import Verdict, check
from rs_gpt4v_generation.claims import Topic, claims
from rs_gpt4v_generation.generate import generate
from rs_gpt4v_generation.principles.turns import of_queue
from rs_gpt4v_generation.products import PRODUCTS, Dialogue
from rs_gpt4v_generation.release import release
from rs_gpt4v_generation.replies import Unusable, parse

GOAL = "Plan how to see whether goods can be moved between the ships and the harbor."
SHIPS = {"name": "ships", "place": "left"}
HARBOR = {"name": "harbor", "place": "right"}
STEPS = [
    {"action": "Look for goods on every deck and note how much there is", "objects": [SHIPS]},
    {"action": "Find the way across that is shortest", "objects": [SHIPS, HARBOR]},
    {"action": "Report whether the way is free of other traffic", "objects": []},
]


def plan(*steps: Any, **changes: Any) -> str:
    return json.dumps({"goal": GOAL, "steps": [*steps], **changes})


def messages(*steps: Any) -> tuple[Message, ...]:
    told = parse(plan(*steps), "planning", "stop")
    assert isinstance(told, Dialogue), told
    return told.messages


def verdicts(*steps: Any) -> list[Verdict]:
    # Two ships on the left, a harbor on the right.
    return check(messages(*steps), scene(1, Path("x.png")).sheet(), "planning")


def failed(*steps: Any) -> set[str]:
    return {verdict.check for verdict in verdicts(*steps) if verdict.result == "fail"}


def test_a_plan_is_one_turn_of_steps() -> None:
    question, answer = messages(*STEPS)
    assert question["content"] == GOAL
    assert answer["content"].splitlines() == [
        "Step 1: Look for goods on every deck and note how much there is (ships on the left).",
        "Step 2: Find the way across that is shortest (ships on the left, harbor on the right).",
        "Step 3: Report whether the way is free of other traffic.",
    ]


def test_a_true_plan_passes_and_is_confirmed() -> None:
    found = verdicts(*STEPS)
    assert not [verdict for verdict in found if verdict.result == "fail"]
    passed = {verdict.check for verdict in found if verdict.result == "pass"}
    assert {"presence", "places"} <= passed


def with_objects(*objects: dict[str, str]) -> dict[str, Any]:
    return {"action": "Look there", "objects": [*objects]}


@pytest.mark.parametrize(
    ("step", "names"),
    [
        (with_objects(SHIPS, {"name": "dam", "place": "anywhere"}), {"presence"}),
        (with_objects(SHIPS, {"name": "airplanes", "place": "top left"}), {"presence"}),
        (with_objects(HARBOR | {"place": "left"}), {"places"}),
        (with_objects(SHIPS, HARBOR | {"place": "bottom left"}), {"places"}),
        (with_objects({"name": "five ships", "place": "left"}), {"counts"}),
        ({"action": "Land the three airplanes", "objects": [SHIPS]}, {"presence", "counts"}),
    ],
)
def test_what_the_boxes_deny_fails(step: Any, names: set[str]) -> None:
    assert names <= failed(*STEPS[:2], step, STEPS[2])


def test_every_object_is_read_with_its_place() -> None:
    """In all places, behind any kind of action, and in company."""
    places = [place for place in products.PLACES if place != "anywhere"]
    actions = (
        "Locate the place where oil is stored",
        "Send a team from the harbor",
        "Compare both",
    )
    for action, first, second in product(actions, places, places):
        objects = [{"name": "storage tanks", "place": first}, {"name": "ship", "place": second}]
        _, answer = messages(STEPS[0], {"action": action, "objects": objects})
        read, _ = claims(GOAL, answer["content"].splitlines()[1], DIOR, Topic())
        found = {(claim.names[0], claim.place) for claim in read if claim.kind == "place"}
        assert found == {("storage tank", first), ("ship", second)}


@pytest.mark.parametrize(
    ("reply", "kind", "reason"),
    [
        (plan(*STEPS, goal=" "), "empty turn", "empty 'goal'"),
        (json.dumps({"steps": STEPS}), "missing field", "no text 'goal'"),
        (json.dumps({"goal": GOAL}), "missing field", "no list 'steps'"),
        (plan(), "missing field", "list 'steps' is empty"),
        (plan(STEPS[0]), "missing field", "a plan has 2 steps or more"),
        (plan("a", "b"), "missing field", "step 1 has no list 'objects': 'a'"),
        (plan(STEPS[0], {"action": "Go"}), "missing field", "step 2 has no list 'objects'"),
        (plan(STEPS[0], {"objects": []}), "missing field", "step 2 has no text 'action'"),
        (
            plan(STEPS[0], {"action": "", "objects": []}),
            "empty turn",
            "step 2 has an empty 'action'",
        ),
        (plan(STEPS[0], with_objects("ship")), "missing field", "step 2: an object is 'ship'"),  # pyright: ignore[reportArgumentType]
        (
            plan(with_objects({"name": "ship"}), STEPS[0]),
            "missing field",
            "object of step 1 has no",
        ),
        (
            plan(STEPS[0], with_objects({"name": "ship", "place": "north"})),
            "missing field",
            "step 2: the place 'north' is none of left, right, centre, top, bottom, top left",
        ),
    ],
)
def test_what_is_no_plan_is_named(reply: str, kind: str, reason: str) -> None:
    told = parse(reply, "planning", "stop")
    assert isinstance(told, Unusable)
    assert (told.kind, reason in told.reason) == (kind, True), told


def test_the_schema_has_what_the_reader_reads() -> None:
    schema = PRODUCTS["planning"].schema
    step = schema["properties"]["steps"]["items"]
    thing = step["properties"]["objects"]["items"]
    assert [*schema["properties"], *step["properties"], *thing["properties"]] == [
        *("goal", "steps", "action", "objects", "name", "place")
    ]
    assert thing["properties"]["place"]["enum"] == [*products.PLACES]
    assert all(part["additionalProperties"] is False for part in (schema, step, thing))


def test_limits_are_checked() -> None:
    assert "length" in failed({"action": "Go", "objects": []}, {"action": "Report", "objects": []})
    long = {"action": " ".join(["onwards"] * 301), "objects": []}
    assert "length" in failed(STEPS[0], long)


# --- From the server to a release ----------------------------------------------------------------


def test_plans_are_asked_for_checked_released_and_measured(tmp_path: Path) -> None:
    out, root = tmp_path / "out", tmp_path / "root"
    false = [STEPS[0], with_objects({"name": "dams", "place": "left"}), STEPS[2]]
    out.mkdir()
    root.mkdir()

    def answering(body: dict[str, Any]) -> str:
        assert body["response_format"]["json_schema"]["name"] == "planning"
        assert "Task: plan a piece of work" in body["messages"][0]["content"]
        return plan(*(false if number_of(body) == 2 else STEPS))

    with ChatServer(answering) as server:
        generator = Generator(
            endpoint=server.endpoint(), journal=out / "journal", products=("planning",)
        )
        report = generate(scenes(3, tmp_path), generator, out)
    assert dict(report.dialogues) == {"planning": 3}
    assert dict(report.checks) == {"presence": 1}
    queue = read_queue(out / "candidates.jsonl")
    (turns,) = of_queue(queue)
    assert (turns.name, turns.count) == ("candidates.jsonl: planning", 3)
    written = release([out / "candidates.jsonl"], root, images_from=[tmp_path])
    assert written.written == {"conversation_train.json": 2}
    assert written.left_out == 1
    items = json.loads((written.folder / "conversation_train.json").read_text())
    assert items[0]["conversations"][1]["value"].startswith("Step 1: ")
    assert items[0]["id"] == "00000/planning"


def test_the_papers_three_are_asked_for_unless_a_plan_is_wanted(tmp_path: Path) -> None:
    asked: list[str] = []

    def answering(body: dict[str, Any]) -> str:
        asked.append(body["response_format"]["json_schema"]["name"])
        return "no"

    with ChatServer(answering) as server:
        to = ("--sample", "--limit", "1", "--base-url", server.url, "--tries", "1")
        for extra in ((), ("--product", "planning")):
            out = tmp_path / str(len(extra))
            CliRunner().invoke(app, ["generate", "m", *to, "--out", str(out), *extra])
    assert sorted(asked) == ["conversation", "detail", "planning", "reasoning"]
