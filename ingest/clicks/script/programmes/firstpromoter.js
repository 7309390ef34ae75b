/*
 * What stands before t.js under the address of FirstPromoter's script: its parameters, its cookies,
 * in which backends look for the click's id, and the object from which pages take it.
 */
((data) => {
  if (!data.names) data.names = "tributary_id _fprom_tid";
  if (!data.params) data.params = "fpr fp_ref via ref _from _by _go _get _fprom_ref";
  window.FPROM = {
    data: {
      get tid() {
        return (window.tributary || {}).clickId;
      },
    },
  };
})(document.currentScript.dataset);
