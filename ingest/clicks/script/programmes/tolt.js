/*
 * What stands before t.js under the address of Tolt's script: its parameters, its cookie, and its
 * objects for the page, which are undefined for visitors whom nobody referred.
 */
((data) => {
  if (!data.names) data.names = "tributary_id tolt_referral";
  if (!data.params) data.params = "via ref aff";
  // A page may have variables of these names, which can be set and not be made anew.
  const show = () => {
    const { clickId, affiliateId } = tributary;
    window.tolt_referral = clickId;
    window.tolt_data = clickId && { click_id: clickId, partner_id: affiliateId, customer_id: null };
  };
  document.addEventListener("tributary", show);
  show(); // t.js may have said so already, to another script of the page
  // Pages await it when somebody signs up. The lead comes from the backend.
  window.tolt = { signup: async (identifier) => ({ ...window.tolt_data, customer_identifier: identifier }) };
})(document.currentScript.dataset);
