package postgres

// Definitions creates the functions that PostgreSQL lacks, in a schema of the
// server's own, so that no extension is needed. The schema is on the search path
// of every session.
const Definitions = `CREATE SCHEMA IF NOT EXISTS kalam;
SET search_path = public, kalam;

CREATE OR REPLACE FUNCTION kalam.k_json_key(key text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF key IS NULL THEN
		RAISE EXCEPTION 'the key of a JSON member is NULL' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN to_json(key)::text;
END $$;

CREATE OR REPLACE FUNCTION kalam.k_json_length(doc jsonb) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS $$
	SELECT CASE jsonb_typeof(doc) WHEN 'array' THEN jsonb_array_length(doc)
		WHEN 'object' THEN (SELECT count(*) FROM jsonb_object_keys(doc)) END
$$;

CREATE OR REPLACE FUNCTION kalam.k_json_length(doc jsonb, key text) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS $$
	SELECT kalam.k_json_length(doc -> key)
$$;

CREATE OR REPLACE FUNCTION kalam.k_json_object_keys(doc jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE STRICT AS $$
	SELECT CASE jsonb_typeof(doc) WHEN 'object' THEN (SELECT coalesce(jsonb_agg(k), '[]') FROM jsonb_object_keys(doc) k) END
$$;

CREATE OR REPLACE FUNCTION kalam.k_uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE AS $$
	SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING
		substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
$$;

CREATE OR REPLACE FUNCTION kalam.k_ulid() RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substring(bits FROM i * 5 + 1 FOR 5)::integer + 1, 1), '' ORDER BY i)
	FROM (SELECT B'00' || ('x' || replace(kalam.k_uuid_v7()::text, '-', ''))::bit(128) AS bits OFFSET 0) b, generate_series(0, 25) i
$$;

CREATE OR REPLACE FUNCTION kalam.k_dim(v real[], dim bigint) RETURNS real[] LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
	IF cardinality(v) <> dim THEN
		RAISE EXCEPTION 'an EMBEDDING(%) has % dimensions', dim, cardinality(v) USING ERRCODE = 'data_exception';
	END IF;
	RETURN v;
END $$;

CREATE OR REPLACE FUNCTION kalam.k_inner_product(a real[], b real[]) RETURNS double precision LANGUAGE sql IMMUTABLE STRICT AS $$
	SELECT sum(x::double precision * y) FROM unnest(a, b) AS u(x, y)
$$;

CREATE OR REPLACE FUNCTION kalam.k_l2_distance(a real[], b real[]) RETURNS double precision LANGUAGE sql IMMUTABLE STRICT AS $$
	SELECT sqrt(sum((x::double precision - y) ^ 2)) FROM unnest(a, b) AS u(x, y)
$$;

CREATE OR REPLACE FUNCTION kalam.k_cosine_distance(a real[], b real[]) RETURNS double precision LANGUAGE sql IMMUTABLE STRICT AS $$
	SELECT 1 - sum(x::double precision * y) / sqrt(sum(x::double precision ^ 2) * sum(y::double precision ^ 2)) FROM unnest(a, b) AS u(x, y)
$$;
`
