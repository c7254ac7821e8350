"""A visitor of the page in a real browser, who records what the page logs and whom it asks."""

import shutil

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

# The contrast of every text that is seen with what lies behind it, by WCAG 2: texts below 4.5 : 1.
PALE_TEXTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const channels = (colour, behind) => {
    canvas.fillStyle = behind; canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => rgb.map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const pale = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()) || node.placeholder;
    if (!own || !node.checkVisibility({ visibilityProperty: true })) continue;
    const style = getComputedStyle(node, node.placeholder && !node.value ? "::placeholder" : null);
    let behind = node;
    const ground = () => getComputedStyle(behind).backgroundColor;
    while (behind.parentElement && /, 0\\)|transparent/.test(ground())) behind = behind.parentElement;
    const back = channels(ground(), "white");
    const front = channels(node.namespaceURI.endsWith("svg") ? style.fill : style.color, `rgb(${back})`);
    const [a, b] = [light(front), light(back)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) pale.push(`${node.id || node.className || node.tagName}: ${contrast.toFixed(2)}`);
  }
  return pale;
}"""


class Visitor:
    """Serves applications and opens their pages; records what the pages log and whom they ask."""

    def __init__(self, browser, served_at, closing):
        self._browser, self._served_at, self._closing = browser, served_at, closing
        self.logged, self.asked = [], []

    def open(self, app, **settings):
        url = self._closing.enter_context(self._served_at(app))
        context = self._browser.new_context(**settings)
        self._closing.callback(context.close)  # before the server ends: the page asks for its status again and again
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.on("console", lambda message: self.logged.append(message.text))
        page.on("pageerror", lambda error: self.logged.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(url)
        return page
