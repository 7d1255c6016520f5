"""The memory mechanism: steps become sentences, the job goes on, as often as it takes, and it ends."""

from __future__ import annotations

from literesearcher.research.commands import CallTool, End, Generate
from literesearcher.research.events import EffectFailed
from literesearcher.research.messages import Limits, Usage
from literesearcher.testing.machine_run import MachineRun, answer, call, created


def filled(run: MachineRun, number: int) -> None:
    run.turn(call("search", query=[f"query {number}"]), usage=Usage(prompt_tokens=2_000, completion_tokens=100))
    run.tool(f"result {number}", tokens=5_000)


def begin() -> MachineRun:
    return MachineRun.begin(created("Who won?", at_context_limit="compress"), context_length=8_000)


def test_each_step_is_compressed_by_a_call_of_its_own_and_the_job_goes_on():
    run = begin()
    run.turn(call("search", query=["alpha"]), usage=Usage(prompt_tokens=1_000, completion_tokens=100))
    run.tool("first result", tokens=2_000)
    filled(run, 2)
    first = run.turn("<think>\nhm\n</think>\nAlpha was searched:\n nothing found.")
    assert first.kind == "compress"
    assert "alpha" in first.messages[-1].content
    assert "first result" in first.messages[-1].content
    assert "Who won?" in first.messages[-1].content
    second = run.turn("The result named Ada.")
    assert second.kind == "compress"
    assert second.prefix_epoch == first.prefix_epoch + 1
    goes_on = run.start_turn()
    assert (goes_on.kind, goes_on.turn) == ("turn", 3)
    assert goes_on.prefix_epoch == second.prefix_epoch + 1
    assert [m.role for m in goes_on.messages] == ["system", "user"]
    assert goes_on.messages[-1].content == (
        "Who won?\n\nWhat earlier steps of this research found:\n"
        "1. Alpha was searched: nothing found.\n2. The result named Ada."
    )


def test_it_happens_again_and_the_memory_grows():
    run = begin()
    for round_ in (1, 2, 3):
        filled(run, round_)
        assert run.turn(f"Sentence {round_}.").kind == "compress"
    goes_on = run.turn(answer("Ada"))
    assert "1. Sentence 1.\n2. Sentence 2.\n3. Sentence 3." in goes_on.messages[-1].content
    end = run.end()
    assert (end.stop_reason, end.usage.turns) == ("answer", 4)


def test_a_memory_that_does_not_fit_either_ends_in_the_context_answer():
    run = MachineRun.begin(created("Who won?", at_context_limit="compress"), context_length=2_400)
    for number in range(1, 40):
        command = run.command()
        if isinstance(command, Generate) and command.kind == "context_answer":
            break
        run.turn(call(), usage=Usage(prompt_tokens=900, completion_tokens=50))
        run.tool("x", tokens=1_000)
        assert run.turn(f"A long sentence {number}. " + "word " * 90).kind == "compress"
    command = run.turn(answer("from memory"))
    assert command.kind == "context_answer"
    assert "What earlier steps" in command.messages[1].content
    assert run.end().stop_reason == "answer_at_context_limit"


def test_a_compression_that_fails_or_says_nothing_leaves_a_record_of_the_step():
    run = begin()
    filled(run, 1)
    run.turn("<think>\ncut off in mid-thou")
    assert "query 1" in run.state.sentences[0]
    filled(run, 2)
    run.start_turn()
    run.append(EffectFailed(2, "prompt_too_long", "too long"))
    assert "query 2" in run.state.sentences[1]
    assert run.start_turn().kind == "turn"


def test_a_thought_is_no_sentence_however_it_was_opened():
    for text, opened in (("cut off in mid-thou", True), ("cut off in mid-thou", False)):
        run = begin()
        filled(run, 1)
        run.turn(text, opened_thought=opened, finish_reason="length")
        assert run.state.sentences[0].startswith("A call of search")
    run = begin()
    filled(run, 1)
    run.turn("hm\n</think>\n<answer>The result named Ada.</answer>", opened_thought=True)
    assert run.state.sentences == ("The result named Ada.",)


def test_a_refused_memory_gives_up_its_oldest_sentences():
    run = begin()
    for number in range(1, 5):
        filled(run, number)
        run.turn(f"Sentence {number}.")
    run.start_turn()
    run.append(EffectFailed(5, "prompt_too_long", "too long"))
    seen = []
    while isinstance(run.command(), Generate):
        command = run.start_turn()
        assert command.kind == "context_answer"
        seen.append(command.messages[1].content.count("Sentence"))
        assert "Sentence 4." in command.messages[1].content
        run.append(EffectFailed(5, "prompt_too_long", "too long"))
    assert seen == [4, 2, 1]
    assert run.end().stop_reason == "length_limit_exceeded"


def test_a_long_question_does_not_make_the_compression_too_long():
    run = MachineRun.begin(created("word " * 3_000, at_context_limit="compress"), context_length=8_000)
    run.turn(call(), usage=Usage(prompt_tokens=5_000, completion_tokens=100))
    run.tool("x" * 60_000, tokens=20_000)
    command = run.start_turn()
    assert command.kind == "compress"
    assert sum(len(message.content) for message in command.messages) < 8_000


def test_a_refused_prompt_is_compressed():
    run = MachineRun.begin(created(at_context_limit="compress"))
    run.turn(call())
    run.tool("x")
    run.start_turn()
    run.append(EffectFailed(2, "prompt_too_long", "too long"))
    assert run.turn("A sentence.").kind == "compress"
    assert run.start_turn().kind == "turn"


def test_a_job_that_never_answers_ends_by_its_turns_however_often_it_compresses():
    run = MachineRun.begin(created(at_context_limit="compress", limits=Limits(max_turns=12)), context_length=8_000)
    for _ in range(200):
        command = run.command()
        if isinstance(command, End):
            break
        if isinstance(command, CallTool):
            run.tool("x", tokens=5_000)
        else:
            assert isinstance(command, Generate)
            run.turn("S." if command.kind == "compress" else call(), usage=Usage(2_000, 100))
    assert run.end().stop_reason in {"exceed_max_turns", "context_limit_no_format"}
