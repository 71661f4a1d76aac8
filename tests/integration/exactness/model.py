"""All that people do to each other as plain sets, with the contract's rules and nothing else."""

from collections.abc import Iterator
from typing import Literal
from uuid import UUID

import msgspec

from layers.postgres.connection import transaction
from tests.support.people import Person

type Pair = tuple[UUID, UUID]


class Account(msgspec.Struct, eq=False):
    """An account of the run."""

    person: Person
    is_private: bool = False
    is_banned: bool = False

    @property
    def id(self) -> UUID:
        """The account's."""
        return self.person.id

    @property
    def is_admin(self) -> bool:
        """Sees and may do all."""
        return self.person.role == "admin"


type Viewer = Account | None
"""Who looks; None is anonymous."""


class Post(msgspec.Struct, eq=False):
    """A post."""

    id: UUID
    author: UUID
    status: Literal["processing", "published", "failed", "deleted"]
    likes: set[UUID] = msgspec.field(default_factory=set)
    saves: set[UUID] = msgspec.field(default_factory=set)


class Comment(msgspec.Struct, eq=False):
    """A comment, or a reply to one."""

    id: UUID
    post: UUID
    author: UUID
    parent: UUID | None
    content: str
    likes: set[UUID] = msgspec.field(default_factory=set)


class Story(msgspec.Struct, eq=False):
    """A story that lives."""

    id: UUID
    author: UUID
    views: set[UUID] = msgspec.field(default_factory=set)


class Times(msgspec.Struct):
    """When each row came to be, as the rows say: the order of lists."""

    follows: dict[Pair, str]
    requests: dict[Pair, str]
    likes: dict[Pair, str]
    saves: dict[Pair, str]
    views: dict[Pair, str]
    stories: dict[UUID, str]


PAIRS = {
    "follows": "SELECT follower_id, following_id, created_at FROM follows WHERE follower_id = ANY(%s)",
    "requests": "SELECT requester_id, target_id, created_at FROM follow_requests WHERE requester_id = ANY(%s)",
    "likes": "SELECT user_id, post_id, created_at FROM likes WHERE user_id = ANY(%s)",
    "saves": "SELECT user_id, post_id, created_at FROM saves WHERE user_id = ANY(%s)",
    "views": "SELECT viewer_id, story_id, viewed_at FROM story_views WHERE viewer_id = ANY(%s)",
}
STORIES = "SELECT id, created_at FROM stories WHERE user_id = ANY(%s)"


class World:
    """Everything there is, as it should be."""

    def __init__(self) -> None:
        self.accounts: dict[UUID, Account] = {}
        self.follows: set[Pair] = set()
        """Follower and followed."""
        self.requests: set[Pair] = set()
        self.posts: dict[UUID, Post] = {}
        self.comments: dict[UUID, Comment] = {}
        self.stories: dict[UUID, Story] = {}

    def times(self) -> Times:
        """When each row came to be."""
        ids = [list(self.accounts)]
        with transaction() as db:
            found = {name: {row[:2]: row[2] for row in db.execute(query, ids)} for name, query in PAIRS.items()}
            return Times(stories=dict(db.execute(STORIES, ids).fetchall()), **found)

    # Who may see what.

    def exists(self, viewer: Viewer, owner: UUID) -> bool:
        """Whether there is such an account for the viewer."""
        account = self.accounts.get(owner)
        return account is not None and (not account.is_banned or is_admin(viewer))

    def may_view(self, viewer: Viewer, owner: UUID) -> bool:
        """R-P1."""
        account = self.accounts[owner]
        if is_admin(viewer):
            return True
        if account.is_banned:
            return False
        return not account.is_private or (viewer is not None and (viewer is account or self.is_follow(viewer, owner)))

    def is_follow(self, viewer: Viewer, owner: UUID) -> bool:
        """Whether the viewer follows."""
        return viewer is not None and (viewer.id, owner) in self.follows

    def sees_post(self, viewer: Viewer, post: Post) -> bool:
        """R-P1 for posts: until it is published, its author and admins alone."""
        if post.status == "deleted" or not self.may_view(viewer, post.author):
            return False
        return post.status == "published" or is_admin(viewer) or (viewer is not None and viewer.id == post.author)

    def may_touch(self, viewer: Viewer, post: Post) -> bool:
        """Like, save, comment."""
        return post.status == "published" and self.sees_post(viewer, post)

    def shows_author(self, viewer: Viewer, author: UUID) -> bool:
        """In lists of what people did."""
        return is_admin(viewer) or not self.accounts[author].is_banned

    def sees_comment(self, viewer: Viewer, comment: Comment) -> bool:
        """A comment of a post that is seen, unless its author is banned."""
        return self.shows_author(viewer, comment.author) and self.sees_post(viewer, self.posts[comment.post])

    def sees_story(self, viewer: Viewer, story: Story) -> bool:
        """A story that lives."""
        return self.may_view(viewer, story.author)

    # What hangs on what.

    def followers(self, owner: UUID) -> set[UUID]:
        """Who follows."""
        return {follower for follower, followed in self.follows if followed == owner}

    def following(self, owner: UUID) -> set[UUID]:
        """The accounts that this one follows."""
        return {followed for follower, followed in self.follows if follower == owner}

    def posts_of(self, author: UUID, status: str = "published") -> list[UUID]:
        """Newest first."""
        found = [post.id for post in self.posts.values() if post.author == author and post.status == status]
        return sorted(found, reverse=True)

    def stories_of(self, author: UUID) -> list[Story]:
        """Those that live."""
        return [story for story in self.stories.values() if story.author == author]

    def comments_on(self, post: UUID) -> list[Comment]:
        """Replies too."""
        return [comment for comment in self.comments.values() if comment.post == post]

    def replies_to(self, comment: UUID) -> list[Comment]:
        """Directly."""
        return [reply for reply in self.comments.values() if reply.parent == comment]

    def thread(self, comment: UUID) -> Iterator[UUID]:
        """A comment and all below it."""
        yield comment
        for reply in self.replies_to(comment):
            yield from self.thread(reply.id)

    # What changes much at once.

    def remove_comment(self, comment: UUID) -> None:
        """Replies go with it."""
        for each in list(self.thread(comment)):
            self.comments.pop(each, None)

    def remove_account(self, gone: UUID) -> None:
        """With all that it made and did."""
        for id_ in [each.id for each in self.comments.values() if each.author == gone]:
            self.remove_comment(id_)
        for id_ in [each.id for each in self.posts.values() if each.author == gone]:
            for comment in self.comments_on(id_):
                del self.comments[comment.id]
            del self.posts[id_]
        self.stories = {each.id: each for each in self.stories.values() if each.author != gone}
        self.follows = {pair for pair in self.follows if gone not in pair}
        self.requests = {pair for pair in self.requests if gone not in pair}
        for post in self.posts.values():
            post.likes.discard(gone)
            post.saves.discard(gone)
        for comment in self.comments.values():
            comment.likes.discard(gone)
        for story in self.stories.values():
            story.views.discard(gone)
        del self.accounts[gone]


def is_admin(viewer: Viewer) -> bool:
    """Whether an admin looks."""
    return viewer is not None and viewer.is_admin
