/*
 * What stands before t.js under the address of Rewardful's script: its function and its object for
 * the page, its attribute for more parameters, the field that it adds to forms, and its cookie,
 * which holds JSON. The id in it goes into the cookie "referral", from which t.js takes it over,
 * unless t.js knows the visitor already.
 */
((data) => {
  if (!data.names) data.names = "tributary_id referral";
  if (!data.params) data.params = ["via", data.rewardfulParams].join(" ");
  document.cookie.replace(/\brewardful\.referral=(?:\{|%7B)%22id%22(?::|%3A)%22([\w-]+)/, (all, id) => {
    if (!/\btributary=/.test(document.cookie)) document.cookie = "referral=" + id + ";path=/";
  });
  const early = (window.rewardful || {}).q || [];
  window.rewardful = (command, value) => {
    if (command == "ready") tributary("ready", value);
    // The page names the affiliate itself: of a visitor whom no link has brought, and before t.js is
    // there or the page changes.
    if (command == "source") data.affiliate = value;
  };
  window.Rewardful = {
    get referral() {
      return tributary.clickId || "";
    },
    get affiliate() {
      return tributary.affiliateId ? { token: tributary.affiliateId } : false;
    },
  };
  // t.js fills the field.
  const addFields = () => {
    for (const form of tributary.clickId ? document.querySelectorAll("form[data-rewardful]") : [])
      if (!form.querySelector("[name=referral]")) {
        const field = document.createElement("input");
        field.type = "hidden";
        field.name = "referral";
        form.append(field);
      }
  };
  document.addEventListener("tributary", addFields);
  addFields(); // t.js may have said so already, to another script of the page
  new MutationObserver(addFields).observe(document, { childList: true, subtree: true });
  early.forEach((args) => window.rewardful(...args));
})(document.currentScript.dataset);
