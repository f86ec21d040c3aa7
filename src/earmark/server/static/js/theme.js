// Runs before the first paint, so that a chosen theme does not flash. A classic script: modules run too late.
(() => {
  let theme = null;
  try { theme = localStorage.getItem("earmark.theme"); } catch { /* Storage may be forbidden; the system's theme then. */ }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
