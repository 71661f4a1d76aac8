"""Counters equal the rows, and every answer is as a plain model has it, after any interleaving of what people do."""

import itertools
import secrets
import time
from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from functions.admin import remove_post, remove_user, unban_user
from functions.auth import get_me
from functions.comments import create_comment, delete_comment, like_comment, unlike_comment
from functions.feed import fan_out_post
from functions.posts import delete_post, like_post, save_post, unlike_post, unsave_post
from functions.stories import delete_story, view_story
from functions.users import (
    accept_follow_request,
    decline_follow_request,
    follow_user,
    get_profile,
    unfollow_user,
    update_profile,
)
from layers.core.events import PostPublished
from layers.postgres import posts, sessions
from layers.postgres.connection import transaction
from tests.integration.exactness import looks
from tests.integration.exactness.counters import wrong_counters
from tests.integration.exactness.looks import Look
from tests.integration.exactness.model import Account, Comment, Post, Story, Viewer, World
from tests.support.calls import Reply, call
from tests.support.deliveries import deliver
from tests.support.feed_posts import publish_post
from tests.support.people import new_person
from tests.support.soak import EXAMPLES, bounded
from tests.support.stores import valkey
from tests.support.stories import HOUR, grow_older, new_story

RUNS, STEPS = EXAMPLES // 3, 140
LEAST = 2000
PEOPLE = 4
LIMITS = (2, 3, 100, 100)

people = st.integers(0, PEOPLE)
"""The last is an admin."""
two = st.sampled_from([*itertools.permutations(range(PEOPLE + 1), 2), (0, 0)])
"""The actor and the target of an action, seldom the same account."""
admins_mostly = st.sampled_from([PEOPLE, PEOPLE, PEOPLE, 0])


class Told(msgspec.Struct):
    """How much was tried."""

    runs: int = 0
    steps: int = 0
    reads: int = 0
    answers: Counter[tuple[str, int]] = msgspec.field(default_factory=Counter)
    """Of what changes something: function and status."""

    def __str__(self) -> str:
        """The report."""
        statuses: Counter[int] = Counter()
        for (_, status), count in self.answers.items():
            statuses[status] += count
        return f"{self.steps} steps in {self.runs} runs, {self.reads} reads compared, acts answered {dict(statuses)}"


TOLD = Told()

NEEDS: dict[str, Callable[["WorldMachine"], object]] = {
    "nothing": lambda _: True,
    "posts": lambda machine: machine.world.posts,
    "processing": lambda machine: machine.posts_with("processing"),
    "comments": lambda machine: machine.world.comments,
    "stories": lambda machine: machine.world.stories,
}


class Act(msgspec.Struct, frozen=True):
    """An action."""

    do: Callable[..., None]
    needs: str
    """What there must be before."""
    given: dict[str, st.SearchStrategy[Any]]

    def __repr__(self) -> str:
        """For a failure."""
        return self.do.__name__


ACTS: list[Act] = []
"""Each as many times as it is likely. Hypothesis' own choice among rules leaves most of them out of most runs: of 2,000
steps so chosen three were comments.
"""


def act[Done: Callable[..., None]](
    *, often: int = 1, needs: str = "nothing", **given: st.SearchStrategy[Any]
) -> Callable[[Done], Done]:
    """Make a method of the machine one of its acts."""

    def registered(do: Done) -> Done:
        ACTS.extend([Act(do, needs, given)] * often)
        return do

    return registered


class WorldMachine(RuleBasedStateMachine):
    """Four people and an admin do what they like; each answer is compared, in the end all reads of some of them are."""

    world: World

    @initialize()
    def begin(self) -> None:
        """New accounts."""
        TOLD.runs += 1
        self.world, self.word = World(), secrets.token_hex(4)
        self.steps, self.reads = -1, 0
        self.gone: list[Account] = []
        self.accounts = [Account(new_person(f"{self.word}{letter}")) for letter in "abcd"]
        self.accounts.append(Account(new_person(f"{self.word}e", role="admin")))
        self.world.accounts = {account.id: account for account in self.accounts}

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """Perform an action."""
        self.data = data
        chosen = data.draw(st.sampled_from([each for each in ACTS if NEEDS[each.needs](self)]), label="act")
        chosen.do(self, **{name: data.draw(strategy, label=name) for name, strategy in chosen.given.items()})

    # Following.

    @act(often=3, pair=two)
    def follow(self, pair: tuple[int, int]) -> None:
        """Follow, or ask to."""
        viewer, target = (self.accounts[number] for number in pair)
        follow = (viewer.id, target.id)
        reply = self._do(follow_user, viewer, user=target.id)
        if viewer is target:
            self._refused(reply, viewer, 400)
        elif target.is_banned:
            self._refused(reply, viewer, 404)
        elif not self._refused(reply, viewer):
            asks = target.is_private and follow not in self.world.follows
            pairs = self.world.requests if asks else self.world.follows
            self._changed(reply, is_new=follow not in pairs, followStatus="requested" if asks else "following")
            pairs.add(follow)

    @act(pair=two)
    def unfollow(self, pair: tuple[int, int]) -> None:
        """Unfollow, or withdraw a request."""
        viewer, target = (self.accounts[number] for number in pair)
        follow = (viewer.id, target.id)
        reply = self._do(unfollow_user, viewer, user=target.id)
        is_new = follow in self.world.follows or follow in self.world.requests
        if target.is_banned and not is_new:
            self._refused(reply, viewer, 404)
        elif not self._refused(reply, viewer):
            self._changed(reply, is_new=is_new, followStatus="none")
            self.world.follows.discard(follow)
            self.world.requests.discard(follow)

    @act(often=2, pair=two)
    def accept(self, pair: tuple[int, int]) -> None:
        """Accept a follow request."""
        asking, viewer = self._asked(pair)
        follow = (asking.id, viewer.id)
        reply = self._do(accept_follow_request, viewer, user=asking.id)
        if follow not in self.world.requests | self.world.follows:
            self._refused(reply, viewer, 404)
        elif not self._refused(reply, viewer):
            self._changed(reply, is_new=follow in self.world.requests)
            self.world.requests.discard(follow)
            self.world.follows.add(follow)

    @act(pair=two)
    def decline(self, pair: tuple[int, int]) -> None:
        """Decline a follow request."""
        asking, viewer = self._asked(pair)
        reply = self._do(decline_follow_request, viewer, user=asking.id)
        if not self._refused(reply, viewer):
            self._changed(reply, is_new=(asking.id, viewer.id) in self.world.requests)
            self.world.requests.discard((asking.id, viewer.id))

    @act(who=people, is_private=st.sampled_from([True, True, False]))
    def turn(self, who: int, is_private: bool) -> None:  # noqa: FBT001
        """Turn private, or public: then all requests are accepted."""
        viewer = self.accounts[who]
        reply = self._do(update_profile, viewer, body={"isPrivate": is_private})
        if self._refused(reply, viewer):
            return
        viewer.is_private = is_private
        if not is_private:
            asked = {pair for pair in self.world.requests if pair[1] == viewer.id}
            self.world.requests -= asked
            self.world.follows |= asked
        user = reply.json["user"]
        assert user["isPrivate"] is is_private
        assert user["followerCount"] == len(self.world.followers(viewer.id))

    # Posts.

    @act(often=2, who=people)
    def publish(self, who: int) -> None:
        """A post is made and published, and reaches its readers."""
        author = self.accounts[who]
        post = Post(publish_post(author.person), author.id, "published")
        self.world.posts[post.id] = post
        self._fan_out(post)

    @act(who=people)
    def upload(self, who: int) -> None:
        """A post waits for its renditions."""
        author = self.accounts[who]
        post = Post(publish_post(author.person, status="processing"), author.id, "processing")
        self.world.posts[post.id] = post

    @act(needs="processing", fails=st.booleans())
    def finish(self, fails: bool) -> None:  # noqa: FBT001
        """A post is published long after it was made, or fails."""
        post = self._one(self.posts_with("processing"), lambda _: False)
        with transaction() as db:
            if fails:
                posts.fail_picture(db, post_id=post.id, order_index=0, reason="test")
            else:
                posts.finish_picture(db, post_id=post.id, order_index=0, width=40, height=30)
        post.status = "failed" if fails else "published"
        if not fails:
            self._fan_out(post)

    @act(needs="posts", who=people)
    def delete(self, who: int) -> None:
        """Delete a post, or try to."""
        viewer, post = self.accounts[who], self._post()
        reply = self._do(delete_post, viewer, post_id=post.id)
        if not self.world.sees_post(viewer, post):
            self._refused(reply, viewer, 404)
        elif post.author != viewer.id and not viewer.is_admin:
            self._refused(reply, viewer, 403)
        elif not self._refused(reply, viewer):
            post.status = "deleted"

    @act(often=2, needs="posts", who=people)
    def like(self, who: int) -> None:
        """Like a post."""
        viewer, post = self.accounts[who], self._post()
        self._touch(like_post, viewer, post, post.likes)

    @act(needs="posts", who=people)
    def unlike(self, who: int) -> None:
        """Take a like back."""
        viewer, post = self.accounts[who], self._post()
        self._let_go(unlike_post, viewer, post, post.likes)

    @act(needs="posts", who=people)
    def save(self, who: int) -> None:
        """Save a post."""
        viewer, post = self.accounts[who], self._post()
        self._touch(save_post, viewer, post, post.saves)

    @act(needs="posts", who=people)
    def unsave(self, who: int) -> None:
        """Give a saved post up."""
        viewer, post = self.accounts[who], self._post()
        self._let_go(unsave_post, viewer, post, post.saves)

    # Comments.

    @act(often=4, needs="posts", who=people, is_sent_twice=st.booleans())
    def comment(self, who: int, is_sent_twice: bool) -> None:  # noqa: FBT001
        """Comment, or reply to any comment; sent again with its key it is the same one."""
        viewer, post = self.accounts[who], self._post()
        here = [comment.id for comment in self.world.comments_on(post.id)]
        elsewhere = [id_ for id_ in self.world.comments if id_ not in here]
        parent = self.data.draw(st.sampled_from([None, *here, *elsewhere[-1:]]))
        body = {"content": f"said {time.time_ns()}", "parentCommentId": str(parent) if parent else None}
        headers = {"idempotency-key": secrets.token_hex(8)} if is_sent_twice else {}
        reply = self._do(create_comment, viewer, body=body, headers=headers, post_id=post.id)
        above = self.world.comments[parent] if parent else None
        may_reply = above is None or (above.post == post.id and self.world.sees_comment(viewer, above))
        if not self.world.may_touch(viewer, post) or not may_reply:
            self._refused(reply, viewer, 404)
        elif not self._refused(reply, viewer):
            assert reply.status == 201
            made = reply.json["comment"]
            comment = Comment(UUID(made["id"]), post.id, viewer.id, parent, body["content"] or "")
            self.world.comments[comment.id] = comment
            assert (made["userId"], made["parentCommentId"]) == (str(viewer.id), body["parentCommentId"])
            if is_sent_twice:
                again = self._do(create_comment, viewer, body=body, headers=headers, post_id=post.id)
                assert (again.status, again.json) == (201, reply.json)

    @act(needs="comments", who=people)
    def uncomment(self, who: int) -> None:
        """Delete a comment with all replies below it, or try to."""
        viewer, comment = self.accounts[who], self._comment()
        post = self.world.posts[comment.post]
        reply = self._do(delete_comment, viewer, comment_id=comment.id)
        is_own = viewer.id == comment.author and post.status != "deleted"
        if not is_own and not self.world.sees_comment(viewer, comment):
            self._refused(reply, viewer, 404)
        elif viewer.id not in (comment.author, post.author) and not viewer.is_admin:
            self._refused(reply, viewer, 403)
        elif not self._refused(reply, viewer):
            self.world.remove_comment(comment.id)

    @act(often=3, needs="comments", who=people, likes=st.booleans())
    def like_comment(self, who: int, likes: bool) -> None:  # noqa: FBT001
        """Like a comment, or take that back."""
        viewer, comment = self.accounts[who], self._comment()
        post = self.world.posts[comment.post]
        reply = self._do(like_comment if likes else unlike_comment, viewer, comment_id=comment.id)
        has_liked = viewer.id in comment.likes
        may = self.world.sees_comment(viewer, comment) or (has_liked and not likes)
        if post.status != "published" or not may:
            self._refused(reply, viewer, 404)
        elif not self._refused(reply, viewer):
            self._changed(reply, is_new=likes != has_liked)
            (comment.likes.add if likes else comment.likes.discard)(viewer.id)

    # Stories.

    @act(often=2, who=people)
    def tell(self, who: int) -> None:
        """A story is made."""
        author = self.accounts[who]
        story = Story(new_story(author.person), author.id)
        self.world.stories[story.id] = story

    @act(often=2, needs="stories", who=people)
    def view(self, who: int) -> None:
        """See a story."""
        viewer, story = self.accounts[who], self._story()
        reply = self._do(view_story, viewer, story_id=story.id)
        if not self.world.sees_story(viewer, story):
            self._refused(reply, viewer, 404)
        elif not self._refused(reply, viewer):
            is_own = story.author == viewer.id
            self._changed(reply, is_new=not is_own and viewer.id not in story.views, tracked=not is_own)
            if not is_own:
                story.views.add(viewer.id)

    @act(needs="stories", who=people)
    def untell(self, who: int) -> None:
        """Delete a story, or try to."""
        viewer, story = self.accounts[who], self._story()
        reply = self._do(delete_story, viewer, story_id=story.id)
        if not self.world.sees_story(viewer, story):
            self._refused(reply, viewer, 404)
        elif viewer.id != story.author and not viewer.is_admin:
            self._refused(reply, viewer, 403)
        elif not self._refused(reply, viewer):
            del self.world.stories[story.id]

    # Administration.

    @act(who=admins_mostly, whom=people)
    def ban(self, who: int, whom: int) -> None:
        """Ban an account, or try to: its sessions end."""
        viewer, target = self.accounts[who], self.accounts[whom]
        reply = self._do(remove_user, viewer, user=target.id)
        if not viewer.is_admin:
            self._refused(reply, viewer, 403)
        elif target is viewer:
            self._refused(reply, viewer, 400)
        else:
            user = {"id": str(target.id), "username": target.person.username, "status": "banned"}
            self._changed(reply, is_new=not target.is_banned, user=user)
            target.is_banned = True
            assert call(get_me, session_id=target.person.session_id).status == 401

    @act(often=3, who=admins_mostly, whom=people)
    def unban(self, who: int, whom: int) -> None:
        """End a ban; the old sessions stay ended."""
        viewer, target = self.accounts[who], self.accounts[whom]
        reply = self._do(unban_user, viewer, user=target.id)
        if not viewer.is_admin:
            self._refused(reply, viewer, 403)
            return
        self._changed(reply, is_new=target.is_banned)
        if target.is_banned:
            target.is_banned = False
            assert call(get_me, session_id=target.person.session_id).status == 401
            with transaction() as db:
                session_id = sessions.start(db, user_id=target.id)
            target.person = msgspec.structs.replace(target.person, session_id=session_id)

    @act(who=people, whom=st.integers(0, PEOPLE - 1))
    def remove(self, who: int, whom: int) -> None:
        """Remove an account and its content, or try to; a new account takes its place."""
        viewer, target = self.accounts[who], self.accounts[whom]
        reply = self._do(remove_user, viewer, query={"mode": "delete"}, user=target.id)
        if not viewer.is_admin:
            self._refused(reply, viewer, 403)
            return
        user = {"id": str(target.id), "username": target.person.username, "status": "deleted"}
        self._changed(reply, is_new=True, user=user)
        self.world.remove_account(target.id)
        self.gone.append(target)
        self.accounts[whom] = newcomer = Account(new_person(f"{self.word}{'abcd'[whom]}"))
        self.world.accounts[newcomer.id] = newcomer

    @act(needs="posts", who=admins_mostly)
    def take_down(self, who: int) -> None:
        """Delete a post of any account, or try to."""
        viewer, post = self.accounts[who], self._post()
        reply = self._do(remove_post, viewer, post_id=post.id)
        if not viewer.is_admin or post.status == "deleted":
            self._refused(reply, viewer, 404 if viewer.is_admin else 403)
        else:
            self._refused(reply, viewer)
            post.status = "deleted"

    # Time.

    @act(needs="stories", is_over=st.booleans())
    def hours_pass(self, is_over: bool) -> None:  # noqa: FBT001
        """A story grows older, perhaps to its end."""
        story = self._story()
        grow_older(story.id, seconds=24 * HOUR if is_over else 3 * HOUR)
        if is_over:
            del self.world.stories[story.id]

    @act(who=people, whose=st.sampled_from(["timeline", "post", "bits", "session"]))
    def caches_expire(self, who: int, whose: str) -> None:
        """Minutes, or an hour, have passed for what Valkey keeps."""
        id_, session_id = self.accounts[who].id, self.accounts[who].person.session_id
        keys: dict[str, list[bytes | str]] = {
            "timeline": [b"timeline:" + id_.bytes, b"following:" + id_.bytes],
            "post": [*[b"post:" + post.bytes for post in self.world.posts][who::2]],
            "bits": [b"liked:" + id_.bytes, b"saved:" + id_.bytes],
            "session": [f"session:{session_id}"],
        }
        if keys[whose]:
            valkey().delete(*keys[whose])

    # What must always hold.

    @invariant()
    def counters_equal_the_rows(self) -> None:
        """R-I3; and the next feed of one account is right."""
        if not hasattr(self, "accounts"):
            return
        self.steps += 1
        TOLD.steps += self.steps > 0
        assert wrong_counters(self.world.accounts) == []
        reader = self.accounts[self.steps % len(self.accounts)]
        if not reader.is_banned:
            self._compare(looks.feed(self.world, reader), reader)

    def teardown(self) -> None:
        """Every read of the admin, of an anonymous caller and of one or two others; then the run ends."""
        if not hasattr(self, "accounts"):
            return
        try:
            times, admin = self.world.times(), self.accounts[-1].person.session_id
            assert set(times.follows) == self.world.follows
            assert set(times.requests) == self.world.requests
            for account in self.gone:
                assert call(get_me, session_id=account.person.session_id).status == 401
                assert call(get_profile, session_id=admin, path={"user": account.id}).status == 404
            some = self.accounts[TOLD.runs % PEOPLE :][:2]
            for viewer in (None, *some, self.accounts[-1]):
                seen_as = None if viewer and viewer.is_banned else viewer
                for look in looks.everything(self.world, times, seen_as, search=self.word):
                    self._compare(look, viewer)
                if self.world.posts:
                    session_id = viewer.person.session_id if viewer else None
                    assert looks.explore(self.world, session_id) == looks.explored(self.world, seen_as)
        finally:
            with transaction() as db:
                db.execute("DELETE FROM users WHERE id = ANY(%s)", [list(self.world.accounts)])

    # How it is done.

    def _do(
        self,
        module: ModuleType,
        who: Account,
        *,
        body: object = None,
        query: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        **path: object,
    ) -> Reply:
        reply = call(module, session_id=who.person.session_id, path=path, query=query, body=body, headers=headers)
        TOLD.answers[module.__name__, reply.status] += 1
        return reply

    def _refused(self, reply: Reply, who: Account, status: int | None = None) -> bool:
        """Whether it was refused; as it must be with this status, and whatever it is for who is banned."""
        if who.is_banned:
            status = 401
        assert reply.status == status if status else reply.status < 300, reply.body
        return status is not None

    def _changed(self, reply: Reply, *, is_new: bool, **members: object) -> None:
        answer = reply.json
        del answer["message"]
        assert answer == {"idempotent": not is_new, **members}

    def _touch(self, module: ModuleType, viewer: Account, post: Post, who: set[UUID]) -> None:
        reply = self._do(module, viewer, post_id=post.id)
        if not self.world.may_touch(viewer, post):
            self._refused(reply, viewer, 404)
        elif not self._refused(reply, viewer):
            self._changed(reply, is_new=viewer.id not in who)
            who.add(viewer.id)

    def _let_go(self, module: ModuleType, viewer: Account, post: Post, who: set[UUID]) -> None:
        """A viewer can undo an own like or save, also of what they can no longer see."""
        reply = self._do(module, viewer, post_id=post.id)
        if post.status != "published" or not (viewer.id in who or self.world.may_touch(viewer, post)):
            self._refused(reply, viewer, 404)
        elif not self._refused(reply, viewer):
            self._changed(reply, is_new=viewer.id in who)
            who.discard(viewer.id)

    def _fan_out(self, post: Post) -> None:
        deliver(fan_out_post, PostPublished(post_id=post.id, author_id=post.author))

    def _compare(self, look: Look, viewer: Viewer) -> None:
        TOLD.reads += 1
        self.reads += 1
        session_id = viewer.person.session_id if viewer else None
        found = look.found(session_id, limit=LIMITS[self.reads % len(LIMITS)])
        assert found == (look.status, look.expected), f"{look} for {viewer and viewer.person.username}"

    def posts_with(self, status: str) -> list[Post]:
        """The oldest first."""
        return [post for post in self.world.posts.values() if post.status == status]

    def _asked(self, pair: tuple[int, int]) -> tuple[Account, Account]:
        """A pair with a pending follow request, or, perhaps, this pair."""
        asking, viewer = (self.accounts[number].id for number in pair)
        asking, viewer = self.data.draw(st.sampled_from([*sorted(self.world.requests), (asking, viewer)]))
        return self.world.accounts[asking], self.world.accounts[viewer]

    def _post(self) -> Post:
        """One of them, few that are deleted."""
        found = list(self.world.posts.values())
        return self._one(found, lambda post: post.status == "deleted")

    def _comment(self) -> Comment:
        """One of them, few of deleted posts."""
        found = list(self.world.comments.values())
        return self._one(found, lambda comment: self.world.posts[comment.post].status == "deleted")

    def _story(self) -> Story:
        return self._one(list(self.world.stories.values()), lambda _: False)

    def _one[Kind](self, some: list[Kind], is_dull: Callable[[Kind], bool]) -> Kind:
        """Any; of the dull ones the last alone."""
        dull = [each for each in some if is_dull(each)]
        return self.data.draw(st.sampled_from([each for each in some if not is_dull(each)] + dull[-1:]))


@pytest.mark.rule("R-I3", "R-I4", "R-I5", "R-P1", "R-S4")
@pytest.mark.timeout(40 * RUNS)
def test_everything_is_as_a_plain_model_has_it(unlimited: None, capsys: pytest.CaptureFixture[str]) -> None:
    run_state_machine_as_test(WorldMachine, settings=bounded(RUNS, steps=STEPS))
    with capsys.disabled():
        print(f"\n{TOLD}")  # noqa: T201 (so many steps are asked for)

    assert TOLD.steps >= LEAST
    assert {name for name, status in TOLD.answers if status < 300} == {name for name, _ in TOLD.answers}
