"""Queue photo-uploaded: create the renditions of an uploaded picture, and publish its post after the last one."""

from layers.core import trace
from layers.core.errors import PostNotFound, StoreUnavailable
from layers.entrypoints.queue import on_message
from layers.media.photos import UploadNotification
from layers.services import publication
from layers.services.publication import PostPicture


def give_up(upload: UploadNotification, error: Exception) -> None:
    """Fail the post after the last attempt, unless a store was unavailable: the sweeper then processes the picture."""
    if isinstance(error, StoreUnavailable) and error.is_outage:
        return
    if isinstance(error, PostNotFound):  # rows are committed before files are stored: the post was withdrawn since
        publication.remove_picture(_picture(upload))
    else:
        publication.fail_picture(_picture(upload), publication.FAILURE)


@on_message(UploadNotification, give_up=give_up)
def handler(upload: UploadNotification) -> None:
    trace.trace_id.set(upload.trace_id)
    publication.process_picture(_picture(upload), takes_turns=True)


def _picture(upload: UploadNotification) -> PostPicture:
    picture = upload.picture
    return PostPicture(post_id=picture.post_id, order_index=picture.order_index, original_key=upload.original_key)
