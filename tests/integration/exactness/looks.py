"""Every read there is, of everything that the model knows, with the answer that the model expects."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from uuid import UUID

import msgspec

from functions.admin import list_all_posts, list_all_users
from functions.auth import get_me
from functions.comments import list_comments, list_replies
from functions.feed import explore_posts, get_feed
from functions.posts import get_post, list_likes
from functions.stories import get_story, get_tray, list_own_stories, list_user_stories, list_viewers
from functions.users import (
    get_profile,
    list_follow_requests,
    list_followers,
    list_following,
    list_saved_posts,
    list_user_posts,
    search_users,
)
from tests.integration.exactness.model import Account, Comment, Post, Story, Times, Viewer, World
from tests.support.calls import call

type Shown = tuple[object, ...]


class Look(msgspec.Struct):
    """One read and what it should give."""

    module: ModuleType
    status: int
    expected: Sequence[Shown] = []
    names: tuple[str, ...] = ("id",)
    """The members that are compared."""
    items: str = ""
    """Where the list stands in the answer; empty for an answer that is no list."""
    path: Mapping[str, object] = {}
    query: Mapping[str, object] = {}

    def found(self, session_id: str | None, *, limit: int) -> tuple[int, list[Shown]]:
        """What the endpoint gives, all pages of it."""
        shown: list[Shown] = []
        query = {**self.query, **({"limit": limit} if self.module in PAGED else {})}
        while True:
            reply = call(self.module, session_id=session_id, path={**self.path}, query=query)
            if reply.status != 200:
                return reply.status, []
            answer = reply.json
            assert "fallback" not in answer
            rows = answer[self.items] if self.items else [next(iter(answer.values()))]
            shown += [tuple(row[name] for name in self.names) for row in rows]
            if answer.get("nextCursor") is None:
                return 200, shown
            assert len(rows) == limit
            query["cursor"] = answer["nextCursor"]

    def __str__(self) -> str:
        """For a failure."""
        return f"{self.module.__name__} {dict(self.path)} {dict(self.query)}"


PAGED = (
    get_feed,
    list_all_posts,
    list_all_users,
    list_comments,
    list_follow_requests,
    list_followers,
    list_following,
    list_likes,
    list_replies,
    list_saved_posts,
    list_user_posts,
    list_viewers,
)

PROFILE = ("id", "followerCount", "followingCount", "postCount", "isPrivate", "isFollowing", "followStatus")
SELF = ("id", "followerCount", "followingCount", "postCount", "isPrivate", "role")
POST = ("id", "userId", "status", "likeCount", "commentCount", "isLiked", "isSaved")
THUMB = ("id", "likeCount", "commentCount", "mediaCount")
COMMENT = ("id", "userId", "content", "parentCommentId", "likeCount", "isLiked", "replyCount")
STORY = ("id", "userId", "viewCount", "hasViewed")
ACCOUNT = ("id", "status", "role", "isPrivate", "followerCount", "followingCount", "postCount")
ANY_POST = ("id", "userId", "status", "likeCount", "commentCount", "mediaCount")
TRAY = ("id", "hasSeen", "storyCount")


def everything(world: World, times: Times, viewer: Viewer, *, search: str) -> Iterator[Look]:
    """Every read of this viewer but explore, which shows others' posts too; `search` is part of all names."""
    yield from _own(world, times, viewer)
    yield _search(world, viewer, search)
    yield from _administration(world, viewer, search)
    for account in world.accounts.values():
        yield from _account(world, times, viewer, account)
    for post in world.posts.values():
        yield from _post(world, times, viewer, post)
    for comment in world.comments.values():
        yield _replies(world, viewer, comment)
    for story in world.stories.values():
        yield from _story(world, times, viewer, story)


def feed(world: World, viewer: Account) -> Look:
    """The home feed."""
    authors = {author for author in world.following(viewer.id) if not world.accounts[author].is_banned} | {viewer.id}
    ids = sorted((post for author in authors for post in world.posts_of(author)), reverse=True)
    return Look(get_feed, 200, [_shown_post(world, viewer, world.posts[id_]) for id_ in ids], POST, "posts")


def explored(world: World, viewer: Viewer) -> list[Shown]:
    """What explore shows of the run's accounts, in order."""
    posts = [
        post
        for post in world.posts.values()
        if post.status == "published"
        and not world.accounts[post.author].is_private
        and not world.accounts[post.author].is_banned
        and (viewer is None or (post.author != viewer.id and not world.is_follow(viewer, post.author)))
    ]
    posts.sort(key=lambda post: (score(world, post), post.id), reverse=True)
    return [_thumb(world, post) for post in posts]


def score(world: World, post: Post) -> int:
    """Explore's order."""
    return len(post.likes) + 2 * len(world.comments_on(post.id))


def explore(world: World, session_id: str | None) -> list[Shown]:
    """What the endpoint gives of the run's posts: read until all of them would have come."""
    last = min((score(world, post), post.id) for post in world.posts.values())
    query: dict[str, object] = {"limit": 100}
    found: list[Shown] = []
    while True:
        answer = call(explore_posts, session_id=session_id, query=query).json
        rows = answer["posts"]
        found += [tuple(row[name] for name in THUMB) for row in rows if UUID(row["id"]) in world.posts]
        if answer["nextCursor"] is None:
            return found
        if (rows[-1]["likeCount"] + 2 * rows[-1]["commentCount"], UUID(rows[-1]["id"])) <= last:
            return found
        query["cursor"] = answer["nextCursor"]


def _own(world: World, times: Times, viewer: Viewer) -> Iterator[Look]:
    modules = (get_me, get_feed, list_saved_posts, list_follow_requests, get_tray, list_own_stories)
    if viewer is None:
        yield from (Look(module, 401) for module in modules)
        return
    counts = (len(world.followers(viewer.id)), len(world.following(viewer.id)), len(world.posts_of(viewer.id)))
    yield Look(get_me, 200, [(str(viewer.id), *counts, viewer.is_private, viewer.person.role)], SELF)
    yield feed(world, viewer)
    saved = [post.id for post in world.posts.values() if viewer.id in post.saves and world.may_touch(viewer, post)]
    in_order = _latest(saved, lambda post: times.saves[viewer.id, post])
    yield Look(list_saved_posts, 200, [_thumb(world, world.posts[post]) for post in in_order], THUMB, "posts")
    asking = [who for who, target in world.requests if target == viewer.id and not world.accounts[who].is_banned]
    in_order = _latest(asking, lambda who: times.requests[who, viewer.id])
    yield Look(list_follow_requests, 200, _ids(in_order), items="requests")
    yield Look(get_tray, 200, _tray(world, times, viewer), TRAY, "users")
    yield Look(list_own_stories, 200, _stories(world, times, viewer, viewer.id), STORY, "stories")


def _search(world: World, viewer: Viewer, part: str) -> Look:
    found = [account for account in world.accounts.values() if world.exists(viewer, account.id)]
    found.sort(key=lambda account: (-len(world.followers(account.id)), account.person.username))
    return Look(search_users, 200, _ids(account.id for account in found), items="users", query={"q": part})


def _administration(world: World, viewer: Viewer, part: str) -> Iterator[Look]:
    if viewer is None or not viewer.is_admin:
        yield from (Look(module, 403 if viewer else 401) for module in (list_all_users, list_all_posts))
        return
    accounts = [
        (
            str(id_),
            "banned" if account.is_banned else "active",
            account.person.role,
            account.is_private,
            len(world.followers(id_)),
            len(world.following(id_)),
            len(world.posts_of(id_)),
        )
        for id_, account in sorted(world.accounts.items(), reverse=True)
    ]
    yield Look(list_all_users, 200, accounts, ACCOUNT, "users", query={"q": part})
    for author in world.accounts:
        posts = [
            (str(id_), str(author), post.status, len(post.likes), len(world.comments_on(id_)), 1)
            for id_, post in sorted(world.posts.items(), reverse=True)
            if post.author == author
        ]
        yield Look(list_all_posts, 200, posts, ANY_POST, "posts", query={"userId": author})


def _account(world: World, times: Times, viewer: Viewer, account: Account) -> Iterator[Look]:
    path = {"user": account.person.username if account.is_private else account.id}
    exists, may_view = world.exists(viewer, account.id), world.may_view(viewer, account.id)
    closed = None if may_view else 403 if exists else 404
    followers, following = world.followers(account.id), world.following(account.id)
    posts = world.posts_of(account.id)
    status = "none"
    if viewer is not None:
        status = "following" if viewer.id in followers else status
        status = "requested" if (viewer.id, account.id) in world.requests else status
    counts = (len(followers), len(following), len(posts))
    header = (str(account.id), *counts, account.is_private, status == "following", status)
    yield Look(get_profile, 200, [header], PROFILE, path=path) if exists else Look(get_profile, 404, path=path)
    shown = {
        list_user_posts: ([_thumb(world, world.posts[post]) for post in posts], THUMB, "posts"),
        list_followers: (
            _people(world, viewer, followers, lambda who: times.follows[who, account.id]),
            ("id",),
            "followers",
        ),
        list_following: (
            _people(world, viewer, following, lambda who: times.follows[account.id, who]),
            ("id",),
            "following",
        ),
    }
    for module, (expected, names, items) in shown.items():
        yield Look(module, closed, path=path) if closed else Look(module, 200, expected, names, items, path)
    path = {"user": account.id}
    if viewer is None:
        yield Look(list_user_stories, 401, path=path)
    elif closed:
        yield Look(list_user_stories, closed, path=path)
    else:
        stories = _stories(world, times, viewer, account.id)
        yield Look(list_user_stories, 200, stories, STORY, "stories", path)


def _post(world: World, times: Times, viewer: Viewer, post: Post) -> Iterator[Look]:
    path = {"post_id": post.id}
    if not world.sees_post(viewer, post):
        yield from (Look(module, 404, path=path) for module in (get_post, list_likes, list_comments))
        return
    yield Look(get_post, 200, [_shown_post(world, viewer, post)], POST, path=path)
    likes = _people(world, viewer, post.likes, lambda who: times.likes[who, post.id])
    yield Look(list_likes, 200, likes, items="likes", path=path)
    top = [each for each in world.comments_on(post.id) if each.parent is None and world.sees_comment(viewer, each)]
    top.sort(key=lambda comment: comment.id, reverse=True)
    shown = [_comment(world, viewer, comment) for comment in top]
    yield Look(list_comments, 200, shown, COMMENT, "comments", path)


def _replies(world: World, viewer: Viewer, comment: Comment) -> Look:
    path = {"comment_id": comment.id}
    if not world.sees_comment(viewer, comment):
        return Look(list_replies, 404, path=path)
    replies = [reply for reply in world.replies_to(comment.id) if world.sees_comment(viewer, reply)]
    replies.sort(key=lambda reply: reply.id)
    shown = [_comment(world, viewer, reply) for reply in replies]
    return Look(list_replies, 200, shown, COMMENT, "replies", path)


def _story(world: World, times: Times, viewer: Viewer, story: Story) -> Iterator[Look]:
    path = {"story_id": story.id}
    if viewer is None or not world.sees_story(viewer, story):
        status = 401 if viewer is None else 404
        yield from (Look(module, status, path=path) for module in (get_story, list_viewers))
        return
    yield Look(get_story, 200, [_shown_story(viewer, story)], STORY, path=path)
    if viewer.id != story.author and not viewer.is_admin:
        yield Look(list_viewers, 403, path=path)
        return
    viewers = _people(world, viewer, story.views, lambda who: times.views[who, story.id])
    yield Look(list_viewers, 200, viewers, items="viewers", path=path)


def _tray(world: World, times: Times, viewer: Account) -> list[Shown]:
    entries = []
    for author in {viewer.id} | world.following(viewer.id):
        stories = world.stories_of(author)
        if stories and world.may_view(viewer, author):
            seen = author == viewer.id or all(viewer.id in story.views for story in stories)
            latest = max(times.stories[story.id] for story in stories)
            entries.append((author, seen, len(stories), latest))
    entries.sort(key=lambda entry: entry[0])
    entries.sort(key=lambda entry: entry[3], reverse=True)
    entries.sort(key=lambda entry: (entry[0] != viewer.id, entry[1]))
    return [(str(author), seen, count) for author, seen, count, _ in entries]


def _stories(world: World, times: Times, viewer: Account, author: UUID) -> list[Shown]:
    stories = sorted(world.stories_of(author), key=lambda story: (times.stories[story.id], story.id))
    return [_shown_story(viewer, story) for story in stories]


def _people(world: World, viewer: Viewer, ids: Iterable[UUID], time_of: Callable[[UUID], str]) -> list[Shown]:
    return _ids(_latest([id_ for id_ in ids if world.shows_author(viewer, id_)], time_of))


def _latest(ids: Iterable[UUID], time_of: Callable[[UUID], str]) -> list[UUID]:
    """The latest first, by id where times are equal."""
    return sorted(sorted(ids), key=time_of, reverse=True)


def _ids(ids: Iterable[UUID]) -> list[Shown]:
    return [(str(id_),) for id_ in ids]


def _shown_post(world: World, viewer: Viewer, post: Post) -> Shown:
    bits = (viewer.id in post.likes, viewer.id in post.saves) if viewer else (False, False)
    counts = (len(post.likes), len(world.comments_on(post.id)))
    return (str(post.id), str(post.author), post.status, *counts, *bits)


def _thumb(world: World, post: Post) -> Shown:
    return (str(post.id), len(post.likes), len(world.comments_on(post.id)), 1)


def _comment(world: World, viewer: Viewer, comment: Comment) -> Shown:
    is_liked = viewer is not None and viewer.id in comment.likes
    parent = str(comment.parent) if comment.parent else None
    return (
        str(comment.id),
        str(comment.author),
        comment.content,
        parent,
        len(comment.likes),
        is_liked,
        len(world.replies_to(comment.id)),
    )


def _shown_story(viewer: Account, story: Story) -> Shown:
    has_viewed = viewer.id == story.author or viewer.id in story.views
    return (str(story.id), str(story.author), len(story.views), has_viewed)
