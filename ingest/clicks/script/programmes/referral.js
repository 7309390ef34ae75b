/*
 * What stands before t.js under the addresses of the scripts of Affonso, Endorsely and PromoteKit.
 * Each keeps the click's id in a cookie and a global of the page that are named after it, as the
 * key of Stripe's metadata is, and which are undefined for visitors whom nobody referred.
 */
((script) => {
  const data = script.dataset;
  const programme = (/(endorsely|promotekit)\.js/.exec(script.src) || ["", "affonso"])[1];
  const name = programme + "_referral";
  if (!data.names) data.names = "tributary_id " + name;
  if (!data.params) data.params = "via atp ref aff";
  if (!data.cookieDays && data.cookie_duration > 0) data.cookieDays = data.cookie_duration;
  // A page may have a variable of this name, which can be set and not be made anew.
  const show = () => {
    if ((window[name] = tributary.clickId)) dispatchEvent(new Event(name + "_ready"));
  };
  document.addEventListener("tributary", show);
  show(); // t.js may have said so already, to another script of the page
  if (data.requiresConsent == "true" && !data.consent) data.consent = "denied";
  window.affonsoConsentGranted = () => tributary("consent", "granted");
  // Pages call these when somebody signs up. The lead comes from the backend.
  window.Affonso = { signup: async () => {} };
  window.promotekit = { refer: async () => {} };
})(document.currentScript);
