/*
 * What stands before t.js under the address of Tolt's script: its parameters, its cookie, and its
 * objects for the page, which are undefined for visitors whom nobody referred.
 */
((data) => {
  if (!data.names) data.names = "tributary_id tolt_referral";
  if (!data.params) data.params = "via ref aff";
  const id = () => (window.tributary || {}).clickId;
  Object.defineProperty(window, "tolt_referral", { get: id, configurable: true });
  Object.defineProperty(window, "tolt_data", {
    get: () => id() && { click_id: id(), partner_id: tributary.affiliateId, customer_id: null },
    configurable: true,
  });
  // Pages await it when somebody signs up. The lead comes from the backend.
  window.tolt = { signup: async (identifier) => ({ ...window.tolt_data, customer_identifier: identifier }) };
})(document.currentScript.dataset);
