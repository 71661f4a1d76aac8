"""Random accounts write, read, react, send again and leave: members see what a plain model says, others nothing."""

from typing import Any
from uuid import UUID, uuid4

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from functions.messages import add_reaction, leave_group, list_messages, mark_read, remove_reaction, send_message
from tests.support.messages import ask, create_group, inbox, open_pair, send_text
from tests.support.people import Person, new_person
from tests.support.soak import EXAMPLES, bounded
from tests.support.stores import forget_in_valkey

PEOPLE = 4
people = st.integers(0, PEOPLE - 1)
REACTIONS = st.sampled_from(["heart", "laugh", "sad"])


class Talk:
    """What the model knows of a conversation."""

    def __init__(self, members: set[int], *, is_group: bool) -> None:
        self.members = set(members)
        self.is_group = is_group
        self.messages: list[dict[str, Any]] = []
        """Oldest first, as their senders got them in the answer; with `by`, the sender."""
        self.read: dict[int, int] = {}
        """Who to how many messages are behind the read mark."""

    def unread(self, person: int) -> int:
        """Messages of others after the mark."""
        return sum(message["by"] != person for message in self.messages[self.read.get(person, 0) :])


class Messages(RuleBasedStateMachine):
    """The handlers beside the model."""

    @initialize()
    def begin(self) -> None:
        self.people = [new_person(f"p{number}") for number in range(PEOPLE)]
        self.outsider = new_person("outsider")
        self.talks: dict[UUID, Talk] = {}
        self.client_ids: dict[tuple[UUID, int], tuple[str, dict[str, Any]]] = {}

    @rule(one=people, other=people)
    def open_pair(self, one: int, other: int) -> None:
        if one == other:
            return
        talk = open_pair(self.people[one], self.people[other])
        known = {id_ for id_, each in self.talks.items() if not each.is_group and each.members == {one, other}}
        assert known <= {talk}
        self.talks.setdefault(talk, Talk({one, other}, is_group=False))

    @rule(by=people, data=st.data())
    def open_group(self, by: int, data: st.DataObject) -> None:
        others = data.draw(st.sets(people.filter(lambda each: each != by), min_size=2, max_size=3))
        talk = create_group(self.people[by], *(self.people[other] for other in sorted(others)))
        self.talks[talk] = Talk({by, *others}, is_group=True)

    @rule(
        data=st.data(),
        by=people,
        words=st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable() and text.strip()),
    )
    def send(self, data: st.DataObject, by: int, words: str) -> None:
        if talk := self._talk(data):
            self._send(talk, by, words)

    @rule(data=st.data(), by=people)
    def send_with_an_id_and_again(self, data: st.DataObject, by: int) -> None:
        if not (talk := self._talk(data)) or by not in self.talks[talk].members:
            return
        if known := self.client_ids.get((talk, by)):
            again = send_text(self.people[by], talk, "again", clientMessageId=known[0])
            assert again["messageId"] == known[1]["messageId"]
            return
        client_id = str(uuid4())
        message = self._send(talk, by, "first", clientMessageId=client_id)
        assert message
        self.client_ids[talk, by] = (client_id, message)

    @rule(data=st.data(), by=people)
    def mark(self, data: st.DataObject, by: int) -> None:
        if not (talk := self._talk(data)) or not self.talks[talk].messages:
            return
        place = data.draw(st.integers(0, len(self.talks[talk].messages) - 1))
        message = self.talks[talk].messages[place]
        reply = ask(mark_read, self.people[by], talk, body={"lastMessageId": message["messageId"]})
        if by not in self.talks[talk].members:
            assert reply.status == 404
            return
        assert reply.status == 200
        self.talks[talk].read[by] = max(self.talks[talk].read.get(by, 0), place + 1)

    @rule(data=st.data(), by=people, reaction=REACTIONS | st.none())
    def react(self, data: st.DataObject, by: int, reaction: str | None) -> None:
        if not (talk := self._talk(data)) or not self.talks[talk].messages:
            return
        message = data.draw(st.sampled_from(self.talks[talk].messages))
        path = {"message_id": message["messageId"]}
        if reaction:
            reply = ask(add_reaction, self.people[by], talk, path=path, body={"reaction": reaction})
        else:
            reply = ask(remove_reaction, self.people[by], talk, path=path)
        if by not in self.talks[talk].members:
            assert reply.status == 404
            return
        assert reply.status in (200, 201)
        message["said"].pop(by, None)
        if reaction:
            message["said"][by] = reaction

    @rule(data=st.data(), by=people)
    def leave(self, data: st.DataObject, by: int) -> None:
        if not (talk := self._talk(data)):
            return
        known = self.talks[talk]
        reply = ask(leave_group, self.people[by], talk)
        assert reply.status == (200 if known.is_group and by in known.members else 404)
        if known.is_group:
            known.members.discard(by)

    @rule()
    def valkey_loses_everything(self) -> None:
        forget_in_valkey(*self.talks, *(person.id for person in self.people))

    @invariant()
    def everybody_sees_what_the_model_says(self) -> None:
        for talk, known in getattr(self, "talks", {}).items():
            for number, person in enumerate(self.people):
                if number in known.members:
                    assert self._read(person, talk, 3) == [self._shown(each) for each in reversed(known.messages)]
                else:
                    assert ask(list_messages, person, talk).status == 404
            assert ask(list_messages, self.outsider, talk).status == 404

    @invariant()
    def lists_and_counts_are_as_the_model_says(self) -> None:
        for number, person in enumerate(getattr(self, "people", ())):
            listed = {UUID(one["conversationId"]): one for one in inbox(person, limit=100)}
            for talk, known in self.talks.items():
                if number not in known.members:
                    assert talk not in listed
                elif known.messages:
                    assert listed[talk]["unreadCount"] == known.unread(number), talk
                    assert listed[talk]["lastMessagePreview"] == known.messages[-1]["content"][:100]
            times = [one["lastMessageAt"] for one in listed.values()]
            assert times == sorted(times, reverse=True)

    def _talk(self, data: st.DataObject) -> UUID | None:
        return data.draw(st.sampled_from(sorted(self.talks))) if self.talks else None

    def _send(self, talk: UUID, by: int, words: str, **given: object) -> dict[str, Any] | None:
        known = self.talks[talk]
        if by not in known.members:
            assert ask(send_message, self.people[by], talk, body={"content": words}).status == 404
            return None
        message = send_text(self.people[by], talk, words, **given)
        if known.unread(by) == 0:
            known.read[by] = len(known.messages) + 1
        known.messages.append({**message, "by": by, "said": {}})
        return message

    def _shown(self, message: dict[str, Any]) -> dict[str, Any]:
        said = {str(self.people[by].id): reaction for by, reaction in message["said"].items()}
        reactions = [{"userId": user_id, "reaction": said[user_id]} for user_id in sorted(said)]
        return {**{name: message[name] for name in message if name not in ("by", "said")}, "reactions": reactions}

    def _read(self, person: Person, talk: UUID, limit: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        before: str | None = None
        while True:
            reply = ask(list_messages, person, talk, query={"limit": limit} | ({"before": before} if before else {}))
            assert reply.status == 200
            found += reply.json["messages"]
            before = reply.json["nextCursor"]
            if before is None:
                return found


TestMessages = Messages.TestCase
TestMessages.settings = bounded(EXAMPLES // 5, steps=25)
