-- SPDX-FileCopyrightText: the llfree-preload contributors
-- SPDX-License-Identifier: MIT
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, grp INTEGER, price REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ROWS)
INSERT INTO item SELECT i, 'item ' || (i * 7919 % 1000003), i * 31 % 997, i / 7.0 FROM n;
CREATE INDEX item_name ON item (name);
CREATE INDEX item_grp ON item (grp, price);
SELECT count(*), sum(id), sum(length(name)) FROM item;
SELECT grp, count(*), round(avg(price), 3) FROM item GROUP BY grp ORDER BY 2 DESC, 1 LIMIT 10;
SELECT count(*) FROM item a JOIN item b ON a.name = b.name AND a.id <= b.id;
DELETE FROM item WHERE id % 3 = 0;
UPDATE item SET name = name || ' changed' WHERE grp < 500;
SELECT sum(length(name)) FROM (SELECT name FROM item ORDER BY name DESC, id);
SELECT length(group_concat(name, ',')) FROM item;
SELECT length(hex(zeroblob(8000000)));
CREATE TABLE blob_table AS SELECT id, zeroblob(100000) AS data FROM item LIMIT 200;
SELECT count(*), sum(length(data)) FROM blob_table;
DROP TABLE blob_table;
VACUUM;
PRAGMA integrity_check;
SELECT * FROM missing_table;
SELECT 'an error and what follows it';
