/*
 * What stands before each of the other files here: the queue of calls that t.js, which stands behind
 * them, reads. An element of the page whose id is tributary is no such queue.
 */
if (typeof window.tributary != "function")
  window.tributary = function () {
    (tributary.q = tributary.q || []).push(arguments);
  };
