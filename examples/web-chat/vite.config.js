// The page and the database have one origin, /db, so that the cookie of the
// session is the page's own. A web server in front of both does the same.
const target = process.env.KALAM_URL ?? 'http://localhost:8080';

export default {
  server: { proxy: { '/db': { target, ws: true, rewrite: (path) => path.replace(/^\/db/, '') } } },
};
