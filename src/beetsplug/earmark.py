"""A beets plugin: the genre that Earmark hears becomes the genre in beets, on import and on command.

In beets' configuration::

    plugins: earmark
    earmark:
        auto: yes           # on import
        mode: keep          # only where no genre is; or: add, replace
        threshold: null     # probability from which on a genre is taken
        top_k: 1            # how many genres
        unsure: no          # take unsure ones too
        windows: 3          # how many 30 s windows of each track to hear; 0: all of it
        vocabulary: null    # a file of names, aliases, parents and ignored genres
        bundle: null        # a model other than the one in the package
        pretend: no         # only show

``beet earmark [--pretend] [--mode MODE] [QUERY]`` does the same for what is in the library. beets itself writes the
files, in its own way and if its configuration says so; after an import as-is (``-A``), which leaves files alone,
``beet write`` does.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

import confuse
from beets import ui
from beets.library import Album, Item
from beets.plugins import BeetsPlugin

from earmark.errors import EarmarkError
from earmark.library.tags import Mode, Options, decide
from earmark.library.vocabulary import BUILT_IN, Vocabulary, load_vocabulary

if TYPE_CHECKING:
    from earmark.predict import Classifier

# Since version 2.7 beets has a list of genres; before, it had one text.
_HAS_LIST = "genres" in Item._fields
_FIELD = "genres" if _HAS_LIST else "genre"
_SEPARATOR = "; "
_MODES: tuple[Mode, ...] = get_args(Mode)


class EarmarkPlugin(BeetsPlugin):
    """Genres by ear."""

    def __init__(self) -> None:
        super().__init__()
        self.config.add(
            {
                "auto": True,
                "mode": "keep",
                "threshold": None,
                "top_k": 1,
                "unsure": False,
                "windows": 3,
                "vocabulary": None,
                "bundle": None,
                "pretend": False,
            }
        )
        if self.config["auto"].get(bool):
            self.import_stages = [self.imported]

    def commands(self) -> list[Any]:
        command = ui.Subcommand("earmark", help="hear genres")
        command.parser.add_option("-p", "--pretend", action="store_true", help="only show what would change")
        command.parser.add_option("-m", "--mode", choices=_MODES, help="keep, add or replace genres that are there")

        def run(lib: Any, opts: Any, args: list[str]) -> None:
            self.config.set_args(vars(opts))
            items = list(lib.items(args))
            changed = self.hear(items, write=ui.should_write())
            self.sum_up(lib.albums(), {item.album_id for item in changed})

        command.func = run
        return [command]

    def imported(self, session: Any, task: Any) -> None:
        """Hear what was imported; beets writes the tags afterwards."""
        changed = self.hear(task.imported_items(), write=False)
        if task.is_album and changed:
            self.sum_up([task.album], {task.album.id})

    def hear(self, items: Iterable[Any], *, write: bool) -> list[Any]:
        """Give items their genres and return those that got some."""
        options = self.options
        changed = []
        for item in items:
            now = _genres(item)
            try:
                genres = self.genres(item, now, options)
            except EarmarkError as error:
                self._log.warning("{}", error)
                continue
            if genres == now:
                continue
            changed.append(item)
            ui.print_(f"{item}: {_shown(now)} -> {_shown(genres)}")
            if not self.pretend:
                _set_genres(item, genres)
                item.try_sync(write=write, move=False)
        return changed

    def genres(self, item: Any, now: tuple[str, ...], options: Options) -> tuple[str, ...]:
        """The genres that an item shall have."""
        if options.mode == "keep" and any(not self.vocabulary.is_ignored(genre) for genre in now):
            return now
        windows = self.config["windows"].get(int)
        path = os.fsdecode(item.path)
        prediction = self.classifier.classify(path, windows=max(1, windows), full=not windows, music=False)
        genres, why = decide(now, prediction, options, self.vocabulary)
        self._log.debug("{}: {}", item, why)
        return genres

    def sum_up(self, albums: Iterable[Any], wanted: set[int | None]) -> None:
        """Give albums the genres that most of their tracks have."""
        if self.pretend:
            return
        for album in albums:
            if album.id not in wanted:
                continue
            counted = Counter(genres for item in album.items() if (genres := _genres(item)))
            now = _genres(album)
            if counted and (not now or self.options.mode != "keep"):
                _set_genres(album, counted.most_common(1)[0][0])
                album.store(inherit=False)

    @property
    def pretend(self) -> bool:
        """Whether nothing may be changed."""
        return bool(self.config["pretend"].get(bool))

    @property
    def options(self) -> Options:
        """The configuration as Earmark's own options."""
        return Options(
            mode=self.config["mode"].as_choice(_MODES),
            threshold=self.config["threshold"].get(confuse.Optional(confuse.Number())),
            top_k=self.config["top_k"].get(int),
            unsure=self.config["unsure"].get(bool),
        )

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words for genres."""
        path = self.config["vocabulary"].get(confuse.Optional(confuse.Filename()))
        return BUILT_IN if path is None else load_vocabulary(path)

    @cached_property
    def classifier(self) -> Classifier:
        """The model, loaded when it is first needed."""
        from earmark.predict import Classifier

        return Classifier(self.config["bundle"].get(confuse.Optional(confuse.Filename())))


def _genres(thing: Item | Album) -> tuple[str, ...]:
    value = thing.get(_FIELD, with_album=False) if isinstance(thing, Item) else thing.get(_FIELD)
    if not value:
        return ()
    return tuple(value) if _HAS_LIST else tuple(str(value).split(_SEPARATOR))


def _set_genres(thing: Item | Album, genres: tuple[str, ...]) -> None:
    thing[_FIELD] = list(genres) if _HAS_LIST else _SEPARATOR.join(genres)


def _shown(genres: tuple[str, ...]) -> str:
    return _SEPARATOR.join(genres) or "no genre"
