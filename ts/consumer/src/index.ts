export { Auth } from '@kalamdb/client';
