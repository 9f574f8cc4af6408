/** Runs in the page. The few rules of accessibility that machines can see and that matter most. */
(() => {
  const flaws = [];
  for (const landmark of ["main", "nav[aria-label]", "h1"]) {
    if (document.querySelectorAll(landmark).length !== 1) flaws.push(`not one ${landmark}`);
  }
  for (const control of document.querySelectorAll("button, input, select, textarea, a[href]")) {
    const labels = control.labels;
    const name = control.getAttribute("aria-label") ?? labels?.[0]?.textContent ?? control.textContent;
    if (!name?.trim()) flaws.push(`no name: ${control.outerHTML.slice(0, 100)}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  if (new Set(ids).size !== ids.length) flaws.push("an id is there twice");
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const numbers = (color) => {
    paint.clearRect(0, 0, 1, 1);
    paint.fillStyle = color;
    paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  const brightness = (rgb) => {
    const [r = 0, g = 0, b = 0] = rgb.map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const groundOf = (element) => {
    if (element === null) return numbers(getComputedStyle(document.documentElement).backgroundColor);
    const own = numbers(getComputedStyle(element).backgroundColor);
    const share = own[3] / 255;
    if (share === 1) return own;
    const behind = groundOf(element.parentElement);
    return [0, 1, 2].map((i) => own[i] * share + behind[i] * (1 - share));
  };
  for (const element of document.querySelectorAll("body *")) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim());
    if (!hasText || element.closest(".hidden-text, noscript, option") || !element.checkVisibility()) continue;
    const text = brightness(numbers(getComputedStyle(element).color));
    const ground = brightness(groundOf(element));
    const contrast = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
    if (contrast < 4.5) flaws.push(`contrast ${contrast.toFixed(1)}: ${element.outerHTML.slice(0, 80)}`);
  }
  return flaws;
})();
