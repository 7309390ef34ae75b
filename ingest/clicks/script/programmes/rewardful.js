/*
 * What stands before t.js under the address of Rewardful's script: its function and its object for
 * the page, and its cookie, which holds JSON. The id in it goes into the cookie "referral", from
 * which t.js takes it over, unless t.js knows the visitor already.
 */
((data) => {
  if (!data.names) data.names = "tributary_id referral";
  if (!data.params) data.params = "via";
  document.cookie.replace(/\brewardful\.referral=(?:\{|%7B)%22id%22(?::|%3A)%22([\w-]+)/, (all, id) => {
    if (!/\btributary=/.test(document.cookie)) document.cookie = "referral=" + id + ";path=/";
  });
  if (!window.tributary)
    window.tributary = function () {
      (tributary.q = tributary.q || []).push(arguments);
    };
  const early = (window.rewardful || {}).q || [];
  window.rewardful = (event, callback) => {
    if (event == "ready") tributary("ready", callback);
  };
  window.Rewardful = {
    get referral() {
      return tributary.clickId || "";
    },
  };
  early.forEach((args) => window.rewardful(...args));
})(document.currentScript.dataset);
