/*
 * What stands before t.js under the address of FirstPromoter's script: its parameters, and its
 * cookies, in which backends look for the click's id.
 */
((data) => {
  if (!data.names) data.names = "tributary_id _fprom_tid";
  if (!data.params) data.params = "fpr fp_ref via ref _from _by _go _get _fprom_ref";
})(document.currentScript.dataset);
