// What to show where there is no library yet.
import { empty, h } from "./dom.js";

export const emptyLibrary = reason => empty({
  art: "library", title: "No library yet",
  text: reason ?? "Let Earmark hear your music once. Then you can search it by genre, find tracks that sound alike, and build playlists here.",
  extra: [h("p.small", {}, "In a terminal:"), h("pre", {}, "earmark scan MUSIC"), h("p.small", {}, "Files stay as they are: scanning only listens.")],
});
