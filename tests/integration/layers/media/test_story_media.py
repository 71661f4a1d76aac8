"""The files of stories and avatars in the real store, and the breaker before making them."""

import pytest
from mypy_boto3_s3.client import S3Client

from layers.core import story_files
from layers.core.breaker import Breaker, BreakerState
from layers.core.errors import StoreUnavailable, UnreadableImage
from layers.core.ids import new_id
from layers.core.settings import settings
from layers.media import account_files, avatars, decoder_process, renditions, story_media
from layers.media import connection as storage
from tests import pictures
from tests.support.proxies import Proxy


@pytest.fixture(autouse=True)
def processing(monkeypatch: pytest.MonkeyPatch) -> Breaker:
    """A breaker that no other test has seen."""
    breaker = Breaker("image_processing_of_tests", failure_ratio=0.5, volume=3, reset_seconds=60)
    for module in (renditions, story_media, avatars):
        monkeypatch.setattr(module, "image_processing", breaker)
    return breaker


def test_a_storys_three_files_lie_under_its_day_until_they_are_removed(store: S3Client) -> None:
    story_ids = [new_id(), new_id()]
    story = renditions.render_story(pictures.jpeg(300, 200))
    for story_id in story_ids:
        story_media.save(story_id, story)
        found = [store.head_object(Bucket=settings().s3_bucket, Key=key) for key in story_files.keys(story_id)]
        assert [each["ContentType"] for each in found] == ["image/jpeg", "image/webp", "image/jpeg"]
    assert storage.get(story_files.thumbnail_key(story_id)) == story.renditions[2].data
    story_media.remove(story_ids)

    assert not any(storage.exists(key) for story_id in story_ids for key in story_files.keys(story_id))
    story_media.remove(story_ids)


def test_a_profile_picture_is_stored_under_its_own_id() -> None:
    avatar_id = new_id()
    avatars.save(avatar_id, renditions.render_avatar(pictures.jpeg(200, 200)))

    assert storage.exists(avatars.key(avatar_id))
    account_files.remove([avatars.key(avatar_id)])
    assert not storage.exists(avatars.key(avatar_id))


def test_with_the_store_down_the_breaker_opens_after_three_failures_and_then_nothing_is_rendered(
    proxy: Proxy, processing: Breaker
) -> None:
    story = renditions.render_story(pictures.jpeg(300, 200))
    proxy.close()
    for _ in range(3):
        assert processing.state is BreakerState.CLOSED
        with pytest.raises(StoreUnavailable):
            story_media.save(new_id(), renditions.render_story(pictures.jpeg(300, 200)))
    decoder_process.close()

    for refuse in (
        lambda: renditions.render_story(pictures.jpeg(300, 200)),
        lambda: renditions.render_avatar(pictures.jpeg(300, 200)),
        lambda: story_media.save(new_id(), story),
    ):
        with pytest.raises(StoreUnavailable) as refused:
            refuse()
        assert refused.value.retry_after > 30
    assert decoder_process.child_pid() is None


def test_bad_pictures_do_not_open_the_breaker(processing: Breaker) -> None:
    broken = pictures.jpeg(640, 480)[:2000]
    for _ in range(5):
        with pytest.raises(UnreadableImage):
            renditions.render_story(broken)

    assert processing.state is BreakerState.CLOSED
